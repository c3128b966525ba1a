/**
 * A choice that is made either while synthesizing (a boolean) or by CloudFormation at deployment (a {@link Test} of
 * parameters). The same constructs serve both: the library's typed props are plain values, the console app's are
 * parameters.
 *
 * Conditions can't cross stacks, so a test is kept as an expression and becomes a condition of each stack that asks.
 */
import { CfnCondition, CfnResource, Fn, ICfnConditionExpression, Stack, Token, Tokenization } from 'aws-cdk-lib';
import { Construct } from 'constructs';

/** A comparison of parameters, made by CloudFormation. */
export class Test {
  constructor(
    /** Name of the condition in the template; the same name must always mean the same test. */
    readonly name: string,
    private readonly expression: (scope: Construct) => ICfnConditionExpression,
  ) {}

  /** The condition in the stack of `scope`, made at the first call. */
  in(scope: Construct): CfnCondition {
    const stack = Stack.of(scope);
    const there = stack.node.tryFindChild(this.name);
    if (there) {
      return there as CfnCondition;
    }
    return new CfnCondition(stack, this.name, { expression: this.expression(stack) });
  }
}

export type Switch = boolean | Test;

/** Whether two texts are equal. */
export function equal(name: string, left: string, right: string): Switch {
  if (Token.isUnresolved(left) || Token.isUnresolved(right)) {
    return new Test(name, () => Fn.conditionEquals(left, right));
  }
  return left === right;
}

export function not(name: string, operand: Switch): Switch {
  if (typeof operand === 'boolean') {
    return !operand;
  }
  return new Test(name, (scope) => Fn.conditionNot(operand.in(scope)));
}

export function and(name: string, ...operands: Switch[]): Switch {
  const tests = operands.filter((operand): operand is Test => typeof operand !== 'boolean');
  if (operands.includes(false)) {
    return false;
  }
  const [only] = tests;
  if (!only) {
    return true;
  }
  return tests.length === 1 ? only : new Test(name, (scope) => Fn.conditionAnd(...tests.map((test) => test.in(scope))));
}

export function or(name: string, ...operands: Switch[]): Switch {
  const tests = operands.filter((operand): operand is Test => typeof operand !== 'boolean');
  if (operands.includes(true)) {
    return true;
  }
  const [only] = tests;
  if (!only) {
    return false;
  }
  return tests.length === 1 ? only : new Test(name, (scope) => Fn.conditionOr(...tests.map((test) => test.in(scope))));
}

/** `yes` or `no`: now, or as an `Fn::If`. */
export function pick<T>(scope: Construct, choice: Switch, yes: T, no: T): T {
  if (typeof choice === 'boolean') {
    return choice ? yes : no;
  }
  return Fn.conditionIf(choice.in(scope).logicalId, yes, no) as unknown as T;
}

/** As {@link pick}, for texts. */
export function pickText(scope: Construct, choice: Switch, yes: string, no: string): string {
  const picked: unknown = pick<unknown>(scope, choice, yes, no);
  return typeof picked === 'string' ? picked : Token.asString(picked);
}

/** Makes the resources that exist only if `choice` holds; CloudFormation makes them conditionally if it is a test. */
export function when(scope: Construct, choice: Switch, make: () => CfnResource[]): CfnResource[] {
  if (choice === false) {
    return [];
  }
  const made = make();
  if (choice !== true) {
    const condition = choice.in(scope);
    for (const resource of made) {
      resource.cfnOptions.condition = condition;
    }
  }
  return made;
}

/** As {@link pick}, for properties of resources: CDK capitalizes their names, but not inside an `Fn::If`. */
export function pickProperties<T>(scope: Construct, choice: Switch, yes: T, no: T): T {
  return typeof choice === 'boolean' ? pick(scope, choice, yes, no) : pick(scope, choice, capitalized(yes) as T, capitalized(no) as T);
}

/** A property, or an item of a list, that exists only if `choice` holds. */
export function optional<T>(scope: Construct, choice: Switch, value: T): T[] {
  if (choice === false) {
    return [];
  }
  return [pickProperties<T>(scope, choice, value, { Ref: 'AWS::NoValue' } as T)];
}

function capitalized(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(capitalized);
  }
  if (typeof value !== 'object' || value === null || Tokenization.isResolvable(value)) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.charAt(0).toUpperCase() + key.slice(1), capitalized(inner)]),
  );
}
