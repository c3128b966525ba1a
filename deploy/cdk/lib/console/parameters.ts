/** Makes CloudFormation parameters, grouped as the console shows them. Empty is always allowed where it means "none". */
import { CfnParameter, CfnParameterProps, Stack } from 'aws-cdk-lib';

interface Group {
  Label: { default: string };
  Parameters: string[];
}

export class Parameters {
  private readonly groups: Group[] = [];

  constructor(private readonly stack: Stack) {
    stack.templateOptions.metadata = { 'AWS::CloudFormation::Interface': { ParameterGroups: this.groups } };
  }

  /** Parameters that follow belong to this group. */
  group(label: string): void {
    this.groups.push({ Label: { default: label }, Parameters: [] });
  }

  text(name: string, description: string, props: CfnParameterProps = {}): string {
    return this.add(name, { type: 'String', description, ...props }).valueAsString;
  }

  /** A text that must match, or be empty. */
  optional(name: string, description: string, pattern: string): string {
    return this.text(name, description, { default: '', allowedPattern: `^$|^${pattern}$` });
  }

  choice(name: string, description: string, values: readonly string[], chosen: string = values[0] ?? ''): string {
    return this.text(name, description, { allowedValues: [...values], default: chosen });
  }

  number(name: string, description: string, initial: number, minValue: number, maxValue?: number): string {
    return this.add(name, { type: 'Number', description, default: initial, minValue, maxValue }).valueAsString;
  }

  /** The value of a parameter that was made before. */
  value(name: string): string {
    return (this.stack.node.findChild(name) as CfnParameter).valueAsString;
  }

  private add(name: string, props: CfnParameterProps): CfnParameter {
    this.groups.at(-1)?.Parameters.push(name);
    return new CfnParameter(this.stack, name, props);
  }
}

/** Patterns of the replaced system's parameters. */
export const PATTERNS = {
  projectId: '[a-z][a-z0-9_]{0,126}',
  appIds: '[a-zA-Z][a-zA-Z0-9_]{0,126}(,[a-zA-Z][a-zA-Z0-9_]{0,126})*',
  subnets: 'subnet-[a-f0-9]+(,subnet-[a-f0-9]+)+',
  domain: '([a-zA-Z0-9*]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\\.)+[a-zA-Z]{2,63}',
  certificate: 'arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[a-zA-Z0-9-]+',
  path: '/[a-zA-Z0-9$#&@%\\-\\_\\/]+',
  secret: 'arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@-]+',
  bucket: '[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]',
  prefix: '[^/].*/',
  brokers: '[a-zA-Z0-9._-]+:[0-9]+(,[a-zA-Z0-9._-]+:[0-9]+)*',
  topic: '[a-zA-Z0-9_.-]+',
  clusterName: '[a-zA-Z0-9_-]{1,64}',
  securityGroup: 'sg-[a-f0-9]+',
  arn: 'arn:aws[a-z-]*:.+',
};
