/** Findings of cdk-nag and of the CDK's own validation that are as intended, each with its reason beside the code. */
import { Stack, Validations } from 'aws-cdk-lib';
import { CfnRole } from 'aws-cdk-lib/aws-iam';
import { IConstruct } from 'constructs';

export function accept(construct: IConstruct, rule: string, reason: string): void {
  Validations.of(construct).acknowledge({ id: rule, reason });
}

/**
 * Resources with wildcards in a role's own policy. Actions with wildcards are not accepted. test/iam.test.ts has the list of
 * all, so that a new one is seen.
 */
export function acceptWildcards(role: CfnRole, reason: string): void {
  const policies = Stack.of(role).resolve(role.policies) as Array<{ policyDocument: { Statement: unknown[] } }>;
  for (const policy of policies) {
    for (const resource of resourcesOf(policy.policyDocument.Statement)) {
      if (resource.includes('*')) {
        accept(role, `AwsSolutions-IAM5[Resource::${resource}]`, reason);
      }
    }
  }
}

export function acceptManagedPolicy(role: CfnRole, name: string, reason: string): void {
  accept(role, `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${name}]`, reason);
}

/**
 * Of statements, as cdk-nag writes them: `<Name>` in place of a reference. It does not look at statements inside conditions;
 * test/iam.test.ts does.
 */
function resourcesOf(statements: unknown[]): string[] {
  return statements.flatMap((statement) => {
    const { Resource } = statement as { Resource?: unknown };
    return Resource === undefined ? [] : [Resource].flat().map(flat);
  });
}

function flat(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  const { Ref: ref, 'Fn::GetAtt': attribute, 'Fn::Join': join } = value as {
    Ref?: string;
    'Fn::GetAtt'?: string[];
    'Fn::Join'?: [string, unknown[]];
  };
  if (join) {
    return join[1].map(flat).join(join[0]);
  }
  return `<${ref ?? attribute?.join('.') ?? JSON.stringify(value)}>`;
}
