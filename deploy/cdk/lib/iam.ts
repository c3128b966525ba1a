/** Roles with one inline policy each, so that what a role may do is read in one place and deleted with it. */
import { Aws } from 'aws-cdk-lib';
import { CfnRole } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

/** A statement that allows; nothing here denies. */
export interface Statement {
  Sid: string;
  Action: string[];
  Resource: unknown;
  Condition?: unknown;
}

export interface ServiceRoleProps {
  /** Such as "ecs-tasks": the service that takes the role on. */
  service: string;
  statements: Array<Statement | unknown>;
  managedPolicyArns?: string[];
  description: string;
}

export function serviceRole(scope: Construct, id: string, props: ServiceRoleProps): CfnRole {
  const statements = props.statements.map((statement) =>
    isStatement(statement) ? { Effect: 'Allow', ...statement } : statement,
  );
  return new CfnRole(scope, id, {
    description: props.description,
    assumeRolePolicyDocument: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: `${props.service}.amazonaws.com` },
          Action: 'sts:AssumeRole',
          // EC2 takes roles on for instances without saying for whom.
          ...(props.service === 'ec2' ? {} : { Condition: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } } }),
        },
      ],
    },
    managedPolicyArns: props.managedPolicyArns,
    policies:
      statements.length > 0
        ? [{ policyName: 'Millrun', policyDocument: { Version: '2012-10-17', Statement: statements } }]
        : undefined,
  });
}

function isStatement(value: unknown): value is Statement {
  return typeof value === 'object' && value !== null && 'Action' in value;
}

/** `arn:<partition>:<service>:<region>:<account>:<resource>` of this deployment. */
export function arn(service: string, resource: string): string {
  return `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`;
}

/** Objects below a prefix, which ends with a slash or is empty. */
export function objects(bucket: string, prefix: string): string {
  return `arn:${Aws.PARTITION}:s3:::${bucket}/${prefix}*`;
}
