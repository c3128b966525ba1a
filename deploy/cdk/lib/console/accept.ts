/** What the CDK's validation says about parameters and conditions of the console templates. */
import { Stack } from 'aws-cdk-lib';
import { accept } from '../accept';

const REASONS = {
  W1001: 'The value is picked under the very condition that the resource exists under.',
  W1030: 'Parameters that are empty by default stand only where a condition has seen that they are not.',
  W2509: 'Names and versions of secrets, which are none themselves.',
  W8003: 'The default values differ; those of a deployment may be equal.',
};

export function acceptParameters(stack: Stack, ...rules: Array<keyof typeof REASONS>): void {
  for (const rule of rules) {
    accept(stack, `CloudFormation-Validate::${rule}`, REASONS[rule]);
  }
}
