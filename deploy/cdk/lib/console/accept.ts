/** What the CDK's validation says about parameters and conditions of the console templates. */
import { Stack } from 'aws-cdk-lib';
import { accept } from '../accept';

export function acceptParameters(stack: Stack): void {
  const rules = {
    W1030: 'Parameters that are empty by default stand only where a condition has seen that they are not.',
    W2509: 'Names and versions of secrets, which are none themselves.',
    W8003: 'The default values differ; those of a deployment may be equal.',
    W1001: 'The value is picked under the very condition that the resource exists under.',
  };
  for (const [rule, reason] of Object.entries(rules)) {
    accept(stack, `CloudFormation-Validate::${rule}`, reason);
  }
}
