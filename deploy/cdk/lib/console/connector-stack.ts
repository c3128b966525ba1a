/** The template of the Kafka-to-S3 connector, beside the ingestion stack: one for each topic. */
import { CfnRule, Fn, Stack, StackProps } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { AlarmTopic } from '../alarm-topic';
import { KafkaToS3 } from '../kafka-to-s3';
import { applyRoleRules } from '../roles';
import { acceptParameters } from './accept';
import { PATTERNS, Parameters } from './parameters';
import { applicationOf } from './stack';

export class ConnectorStack extends Stack {
  constructor(scope: Construct, id: string, props: StackProps = {}) {
    super(scope, id, { description: 'Millrun: Kafka to S3 by MSK Connect', ...props });
    acceptParameters(this, 'W1030');
    const p = new Parameters(this);
    p.group('Project');
    const projectId = p.text('ProjectId', 'Name of the project', { allowedPattern: `^${PATTERNS.projectId}$` });
    const kafka = kafkaOf(p);
    const objects = objectsOf(p);
    const plugin = pluginOf(p);
    const connector = connectorOf(p);
    p.group('Alarms, roles');
    const topicArn = p.optional('AlarmTopicArn', 'SNS topic of the alarms; empty: one is made', PATTERNS.arn);
    const namePrefix = p.text('IamRolePrefix', 'First part of the names of all roles', { default: '', allowedPattern: '^[a-zA-Z0-9_+=,.@-]{0,38}$' });
    const boundaryArn = p.optional('IamRoleBoundaryArn', 'Permissions boundary of all roles', PATTERNS.arn);
    const applicationArn = p.optional('AppRegistryApplicationArn', 'Service Catalog AppRegistry application of the stack', PATTERNS.arn);
    new KafkaToS3(this, 'KafkaToS3', {
      projectId,
      ...kafka,
      ...objects,
      ...connector,
      pluginBucket: plugin.bucket,
      pluginKey: Fn.join('', [plugin.prefix, plugin.file]),
      alarmTopicArn: new AlarmTopic(this, 'AlarmTopic', { topicArn, email: '' }).arn,
    });
    applyRoleRules(this, { namePrefix, boundaryArn });
    applicationOf(this, applicationArn);
    new CfnRule(this, 'IamNeedsTls', {
      ruleCondition: Fn.conditionEquals(kafka.authentication, 'IAM'),
      assertions: [{ assert: Fn.conditionEquals(kafka.encryption, 'TLS'), assertDescription: 'KafkaAuthentication=IAM needs KafkaEncryption=TLS' }],
    });
  }
}

function kafkaOf(p: Parameters) {
  p.group('Kafka');
  return {
    vpcId: p.text('VpcId', 'VPC of the brokers', { type: 'AWS::EC2::VPC::Id' }),
    subnetIds: p.text('SubnetIds', 'Comma list: subnets of the brokers', { allowedPattern: `^${PATTERNS.subnets}$` }),
    brokers: p.text('KafkaBrokers', 'Comma list of host:port', { allowedPattern: `^${PATTERNS.brokers}$` }),
    topic: p.text('KafkaTopic', 'Topic of the events', { allowedPattern: `^${PATTERNS.topic}$` }),
    clusterName: p.text('MskClusterName', 'Name of the cluster', { allowedPattern: `^${PATTERNS.clusterName}$` }),
    clusterArn: p.optional('MskClusterArn', 'ARN of the cluster, to create the dead-letter topic (<topic>.dead-letters); empty: it exists', PATTERNS.arn),
    brokerSecurityGroupId: p.text('SecurityGroupId', 'Security group of the brokers, which lets the connector in', { allowedPattern: `^${PATTERNS.securityGroup}$` }),
    authentication: p.choice('KafkaAuthentication', 'Towards the brokers; MSK Connect offers no other', ['NONE', 'IAM']),
    encryption: p.choice('KafkaEncryption', 'Towards the brokers', ['PLAINTEXT', 'TLS']),
  };
}

function objectsOf(p: Parameters) {
  p.group('S3');
  const bucket = { allowedPattern: `^${PATTERNS.bucket}$` };
  const prefix = (name: string, description: string, initial: string) =>
    p.text(name, description, { default: initial, allowedPattern: `^${PATTERNS.prefix}$` });
  return {
    dataBucket: p.text('DataS3Bucket', 'Bucket of the events', bucket),
    dataPrefix: prefix('DataS3Prefix', 'Prefix of the events; the topic follows', 'data/'),
    logBucket: p.text('LogS3Bucket', "Bucket of the connector's log", bucket),
    logPrefix: prefix('LogS3Prefix', "Prefix of the connector's log", 'kafka-connect/log/'),
  };
}

/** The zip is put there by its operator: a deployment fetches nothing from elsewhere. */
function pluginOf(p: Parameters) {
  p.group('Plugin');
  return {
    bucket: p.text('PluginS3Bucket', "Bucket of the plugin's zip", { allowedPattern: `^${PATTERNS.bucket}$` }),
    prefix: p.text('PluginS3Prefix', 'Its prefix', { default: 'kafka-connect/plugin/', allowedPattern: `^${PATTERNS.prefix}$` }),
    file: p.text('PluginFile', 'Its name: the S3 sink of Confluent', { default: 'confluentinc-kafka-connect-s3-10.2.2.zip', allowedPattern: '^[^/]+\\.(zip|jar)$' }),
  };
}

function connectorOf(p: Parameters) {
  p.group('Connector');
  return {
    workerCountMax: p.number('MaxWorkerCount', 'Most workers', 3, 1, 10),
    workerCountMin: p.number('MinWorkerCount', 'Fewest workers', 1, 1, 10),
    workerMcuCount: p.choice('WorkerMcuCount', 'Capacity units of a worker', ['1', '2', '4', '8']),
    tasksMax: p.number('TasksMax', "Tasks, at most the topic's partitions", 2, 1),
    rotateIntervalMs: p.number('RotateIntervalMS', 'Milliseconds until an object is written however small it is; -1: never', 3_000_000, -1),
    flushSize: p.number('FlushSize', 'Records of an object', 50_000, 1),
    deadLetterReplicas: p.number('DeadLetterReplicas', 'Replicas of the dead-letter topic', 3, 1),
    customConfiguration: p.text('CustomConnectorConfiguration', 'JSON object of texts: settings that win over all others', { default: '{}', allowedPattern: '^\\s*\\{.*\\}\\s*$' }),
  };
}
