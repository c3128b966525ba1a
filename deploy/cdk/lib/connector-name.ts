/**
 * Names that change with what they name. MSK Connect changes a connector's settings and capacity in place, but its
 * plugin, worker, brokers, security and version only by a new connector, which needs a new name. A function of a few
 * lines makes a hash of those, so that a changed parameter is a changed name and so reaches the connector.
 */
import { CustomResource, RemovalPolicy } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { serviceRole } from './iam';

/** `Suffix`: 8 hex digits of what `Fixed` says. `Merged`: `Settings` with the JSON text `Custom` over it. */
export const CODE = `
const { createHash } = require('node:crypto');
const answer = ({ Fixed, Settings, Custom }) => {
  const suffix = createHash('sha256').update(JSON.stringify(Fixed)).digest('hex').slice(0, 8);
  return { Status: 'SUCCESS', Data: { Suffix: suffix, Merged: { ...Settings, ...JSON.parse(Custom) } } };
};
exports.handler = async (event) => {
  const { StackId, RequestId, LogicalResourceId, ResponseURL, ResourceProperties, RequestType } = event;
  const about = { StackId, RequestId, LogicalResourceId, PhysicalResourceId: 'connector-name' };
  let said = { Status: 'SUCCESS' };
  if (RequestType !== 'Delete') {
    try { said = answer(ResourceProperties); } catch (error) { said = { Status: 'FAILED', Reason: String(error) }; }
  }
  await fetch(ResponseURL, { method: 'PUT', body: JSON.stringify({ ...about, ...said }) });
};
`.trim();

export interface ConnectorNameProps {
  /** What a connector can't change. */
  fixed: Record<string, unknown>;
  /** What it can. */
  settings: Record<string, string>;
  /** JSON text of more settings, which win. */
  custom: string;
}

export class ConnectorName extends Construct {
  readonly suffix: string;
  /** The settings with the custom ones, resolved by CloudFormation. */
  readonly merged: unknown;

  constructor(scope: Construct, id: string, props: ConnectorNameProps) {
    super(scope, id);
    const logs = new CfnLogGroup(this, 'Logs', { retentionInDays: 30 });
    logs.applyRemovalPolicy(RemovalPolicy.DESTROY);
    const role = serviceRole(this, 'Role', {
      service: 'lambda',
      description: 'Names the connector',
      statements: [
        { Sid: 'WriteLogs', Action: ['logs:CreateLogStream', 'logs:PutLogEvents'], Resource: logs.attrArn },
      ],
    });
    const namer = new CfnFunction(this, 'Function', {
      description: 'Millrun: names the connector by what it is made of',
      runtime: 'nodejs24.x',
      handler: 'index.handler',
      architectures: ['arm64'],
      timeout: 30,
      memorySize: 128,
      role: role.attrArn,
      code: { zipFile: CODE },
      loggingConfig: { logGroup: logs.ref },
    });
    const resource = new CustomResource(this, 'Name', {
      serviceToken: namer.attrArn,
      resourceType: 'Custom::ConnectorName',
      properties: { Fixed: props.fixed, Settings: props.settings, Custom: props.custom },
    });
    this.suffix = resource.getAttString('Suffix');
    this.merged = resource.getAtt('Merged');
  }
}
