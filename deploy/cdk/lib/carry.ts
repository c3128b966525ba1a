/**
 * Brings a value into a nested stack. CDK does this by itself for plain references, but not for an `Fn::If`, whose
 * condition exists only outside. Its name inside is the given one.
 */
import { CfnParameter, NestedStack, Token } from 'aws-cdk-lib';

export function carry(into: NestedStack, name: string, value: string): string {
  if (!Token.isUnresolved(value)) {
    return value;
  }
  into.setParameter(name, value);
  return new CfnParameter(into, name, { type: 'String' }).valueAsString;
}
