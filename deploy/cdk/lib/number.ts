/** Settings are texts, since parameters are; CloudFormation's properties want numbers. */
import { Token } from 'aws-cdk-lib';

/** A text that is a number, or a parameter that will be one. */
export function number(value: string): number {
  return Token.isUnresolved(value) ? Token.asNumber(value) : Number(value);
}
