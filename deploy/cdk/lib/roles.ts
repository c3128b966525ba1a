/**
 * Gives every role of a tree the account's permissions boundary and name prefix, where the organisation asks for them.
 * Roles without a prefix are named by CloudFormation.
 */
import { Aspects, Aws, CfnResource, Fn, IAspect, Stack, Token } from 'aws-cdk-lib';
import { CfnRole } from 'aws-cdk-lib/aws-iam';
import { Construct, IConstruct } from 'constructs';
import { createHash } from 'node:crypto';
import { equal, not, pick } from './switch';

export interface RoleRules {
  /** ARN of a managed policy, or "". */
  boundaryArn: string;
  /** First part of role names, or "". At most 38 characters: a name has 64. */
  namePrefix: string;
}

class RoleRulesAspect implements IAspect {
  constructor(private readonly rules: RoleRules) {}

  visit(node: IConstruct): void {
    if (!(node instanceof CfnResource) || node.cfnResourceType !== 'AWS::IAM::Role') {
      return;
    }
    const role = node as CfnRole;
    const bounded = not('HasRoleBoundary', equal('HasNoRoleBoundary', this.rules.boundaryArn, ''));
    const prefixed = not('HasRolePrefix', equal('HasNoRolePrefix', this.rules.namePrefix, ''));
    if (bounded !== false) {
      role.permissionsBoundary = pick(role, bounded, this.rules.boundaryArn, Aws.NO_VALUE);
    }
    if (prefixed !== false) {
      role.roleName = pick(role, prefixed, name(role, this.rules.namePrefix), Aws.NO_VALUE);
    }
  }
}

/** The role's path makes the name unique in the stack; the stack's id makes it unique in the account. */
function name(role: CfnRole, prefix: string): string {
  const hash = createHash('sha256').update(role.node.path).digest('hex').slice(0, 12);
  // arn:aws:cloudformation:<region>:<account>:stack/<name>/<uuid>: the last group of the uuid has 12 characters.
  const stackId = Fn.select(2, Fn.split('/', Stack.of(role).stackId));
  return Fn.join('-', [prefix, Fn.select(4, Fn.split('-', stackId)), hash]);
}

export function applyRoleRules(scope: Construct, rules: RoleRules): void {
  if (rules.namePrefix.length > 38 && !Token.isUnresolved(rules.namePrefix)) {
    throw new Error(`role name prefix "${rules.namePrefix}" has more than 38 characters`);
  }
  Aspects.of(scope).add(new RoleRulesAspect(rules));
}
