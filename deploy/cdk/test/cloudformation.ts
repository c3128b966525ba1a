/**
 * What CloudFormation would make of a template with given parameters: conditions decided, `Fn::If` and parameters replaced,
 * nested stacks opened with what their parent passes. A reference to a resource is the text `<Id>` or `<Id.Attribute>`.
 * Knows the functions that these templates use, and refuses others.
 */

type Json = any;

export interface Template {
  Parameters?: Record<string, { Type: string; Default?: unknown; AllowedValues?: unknown[]; AllowedPattern?: string }>;
  Mappings?: Record<string, Record<string, Record<string, unknown>>>;
  Conditions?: Record<string, Json>;
  Rules?: Record<string, { RuleCondition?: Json; Assertions: Array<{ Assert: Json; AssertDescription: string }> }>;
  Resources: Record<string, Json>;
  Outputs?: Record<string, Json>;
}

/** A stack as it would be deployed. */
export interface Deployed {
  /** Resources that exist, by their logical ids. */
  resources: Record<string, Json>;
  outputs: Record<string, Json>;
  /** By the logical id of the nested stack's resource. */
  nested: Record<string, Deployed>;
  /** References to resources, or to outputs of nested stacks, that do not exist: CloudFormation would refuse each. */
  dangling: string[];
}

const NO_VALUE = Symbol('AWS::NoValue');

export const PSEUDO: Record<string, string> = {
  'AWS::AccountId': '111122223333',
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-central-1',
  'AWS::StackId': 'arn:aws:cloudformation:eu-central-1:111122223333:stack/millrun/0a1b2c3d-0000-1111-2222-0123456789ab',
  'AWS::StackName': 'millrun',
  'AWS::URLSuffix': 'amazonaws.com',
};

export class Stack {
  private readonly parameters: Record<string, unknown> = {};
  private readonly decided = new Map<string, boolean>();
  private readonly references = new Set<string>();

  constructor(
    private readonly template: Template,
    given: Record<string, unknown>,
    private readonly pseudo: Record<string, string> = PSEUDO,
  ) {
    for (const name of Object.keys(given)) {
      if (!(name in (template.Parameters ?? {}))) {
        throw new Error(`there is no parameter ${name}`);
      }
    }
    for (const [name, { Default, AllowedValues, AllowedPattern }] of Object.entries(template.Parameters ?? {})) {
      const value = given[name] ?? Default;
      if (value === undefined) {
        throw new Error(`parameter ${name} has no value`);
      }
      if (AllowedValues && !AllowedValues.map(String).includes(String(value))) {
        throw new Error(`parameter ${name} can't be ${value}`);
      }
      if (AllowedPattern && typeof value === 'string' && !new RegExp(`^(?:${AllowedPattern})$`).test(value)) {
        throw new Error(`parameter ${name} can't be ${value}: ${AllowedPattern}`);
      }
      this.parameters[name] = typeof value === 'object' ? value : String(value);
    }
  }

  /** Descriptions of the rules' assertions that don't hold. */
  refusals(): string[] {
    return Object.values(this.template.Rules ?? {}).flatMap(({ RuleCondition, Assertions }) =>
      RuleCondition !== undefined && !this.holds(RuleCondition)
        ? []
        : Assertions.filter(({ Assert }) => !this.holds(Assert)).map(({ AssertDescription }) => AssertDescription),
    );
  }

  /** `nestedTemplate` finds the template of a nested stack's resource. */
  deploy(nestedTemplate: (logicalId: string, resource: Json) => Template): Deployed {
    const resources: Record<string, Json> = {};
    const nested: Record<string, Deployed> = {};
    for (const [id, resource] of Object.entries(this.template.Resources)) {
      if (resource.Condition === undefined || this.condition(resource.Condition)) {
        resources[id] = this.resolve(resource);
      }
    }
    for (const [id, resource] of Object.entries(resources)) {
      if (resource.Type === 'AWS::CloudFormation::Stack') {
        const template = nestedTemplate(id, this.template.Resources[id]);
        nested[id] = new Stack(template, resource.Properties.Parameters ?? {}, this.pseudo).deploy(nestedTemplate);
      }
    }
    const outputs: Record<string, Json> = {};
    for (const [id, output] of Object.entries(this.template.Outputs ?? {})) {
      if (output.Condition === undefined || this.condition(output.Condition)) {
        outputs[id] = this.resolve(output);
      }
    }
    const dangling = [...this.references].filter((reference) => !exists(reference, resources, nested));
    return { resources, outputs, nested, dangling: [...dangling, ...Object.values(nested).flatMap((stack) => stack.dangling)] };
  }

  private condition(name: string): boolean {
    const known = this.decided.get(name);
    if (known !== undefined) {
      return known;
    }
    const expression = this.template.Conditions?.[name];
    if (expression === undefined) {
      throw new Error(`there is no condition ${name}`);
    }
    const decided = this.holds(expression);
    this.decided.set(name, decided);
    return decided;
  }

  private holds(expression: Json): boolean {
    const [[name, operand]] = Object.entries(expression) as [[string, Json]];
    switch (name) {
      case 'Condition':
        return this.condition(operand);
      case 'Fn::Equals':
        return this.resolve(operand[0]) === this.resolve(operand[1]);
      case 'Fn::Contains':
        return this.resolve(operand[0]).includes(this.resolve(operand[1]));
      case 'Fn::Not':
        return !this.holds(operand[0]);
      case 'Fn::And':
        this.operands(operand);
        return operand.every((inner: Json) => this.holds(inner));
      case 'Fn::Or':
        this.operands(operand);
        return operand.some((inner: Json) => this.holds(inner));
      default:
        throw new Error(`a condition can't have ${name}`);
    }
  }

  /** CloudFormation takes 2 to 10. */
  private operands(list: Json[]): void {
    if (list.length < 2 || list.length > 10) {
      throw new Error(`a condition of ${list.length} operands`);
    }
  }

  private resolve(value: Json): Json {
    if (Array.isArray(value)) {
      return value.map((item) => this.resolve(item)).filter((item) => item !== NO_VALUE);
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    const entries = Object.entries(value) as Array<[string, Json]>;
    if (entries.length === 1 && entries[0]) {
      const called = this.call(...entries[0]);
      if (called !== undefined) {
        return called;
      }
    }
    const pairs = entries.map(([key, inner]) => [key, this.resolve(inner)]).filter(([, inner]) => inner !== NO_VALUE);
    return Object.fromEntries(pairs);
  }

  private call(name: string, operand: Json): Json | undefined {
    switch (name) {
      case 'Ref':
        return this.ref(operand);
      case 'Fn::If':
        return this.resolve(operand[this.condition(operand[0]) ? 1 : 2]);
      case 'Fn::Join':
        return this.resolve(operand[1]).map(String).join(operand[0]);
      case 'Fn::Split':
        return String(this.resolve(operand[1])).split(operand[0]);
      case 'Fn::Select':
        return this.resolve(operand[1])[Number(operand[0])];
      case 'Fn::FindInMap': {
        const [map, first, second] = this.resolve(operand) as [string, string, string];
        const found = this.template.Mappings?.[map]?.[first]?.[second];
        if (found === undefined) {
          throw new Error(`${map} has no ${first}.${second}`);
        }
        return found;
      }
      case 'Fn::GetAtt':
        return this.reference(operand.join('.'));
      case 'Fn::Base64':
        return Buffer.from(String(this.resolve(operand))).toString('base64');
      case 'Fn::Sub':
        return String(operand).replace(/\$\{([^}]+)\}/g, (_, inner: string) => String(this.ref(inner)));
      default:
        if (name.startsWith('Fn::')) {
          throw new Error(`${name} is not known here`);
        }
        return undefined;
    }
  }

  private ref(name: string): Json {
    if (name === 'AWS::NoValue') {
      return NO_VALUE;
    }
    return this.parameters[name] ?? this.pseudo[name] ?? this.reference(name);
  }

  private reference(to: string): string {
    this.references.add(to);
    return `<${to}>`;
  }
}

/** Whether what `Id`, `Id.Attribute` or `Id.Outputs.Name` names is there. */
function exists(reference: string, resources: Record<string, Json>, nested: Record<string, Deployed>): boolean {
  const [id, attribute, output] = reference.split('.') as [string, string?, string?];
  if (!(id in resources)) {
    return false;
  }
  return attribute !== 'Outputs' || (output !== undefined && output in (nested[id]?.outputs ?? {}));
}
