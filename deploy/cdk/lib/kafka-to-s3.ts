/**
 * Carries a topic's records into S3 by MSK Connect and Confluent's S3 sink, with the settings of the replaced system
 * and without its losses: a record that can't be read goes to a dead-letter topic, and every change of a parameter reaches
 * the connector (connector-name.ts).
 */
import { Aws, CfnResource, Fn, RemovalPolicy, Token } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnSecurityGroup, CfnSecurityGroupEgress, CfnSecurityGroupIngress } from 'aws-cdk-lib/aws-ec2';
import { CfnConnector, CfnCustomPlugin, CfnWorkerConfiguration } from 'aws-cdk-lib/aws-kafkaconnect';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acceptWildcards } from './accept';
import { MINUTE, alarm } from './alarm';
import { ConnectorName } from './connector-name';
import { bucketArn } from './data-bucket';
import { arn, objects, serviceRole } from './iam';
import { kafkaTopic } from './kafka-topic';
import { Switch, equal, not, pick, when } from './switch';
import { conditional } from './task';
import { number } from './number';

export interface KafkaToS3Props {
  projectId: string;
  vpcId: string;
  /** Comma list. */
  subnetIds: string;
  brokers: string;
  topic: string;
  clusterName: string;
  /** ARN of the MSK cluster, to create the dead-letter topic in, or "": it exists. */
  clusterArn: string;
  /** Security group of the brokers. */
  brokerSecurityGroupId: string;
  /** "NONE" or "IAM": what MSK Connect offers. */
  authentication: string;
  /** "PLAINTEXT" or "TLS"; IAM needs TLS. */
  encryption: string;
  dataBucket: string;
  /** Ends with a slash. */
  dataPrefix: string;
  logBucket: string;
  logPrefix: string;
  pluginBucket: string;
  /** Key of the plugin's zip. */
  pluginKey: string;
  workerCountMax: string;
  workerCountMin: string;
  workerMcuCount: string;
  /** Milliseconds; -1: never by age. */
  rotateIntervalMs: string;
  /** Records. */
  flushSize: string;
  /** JSON object of texts that win over all settings. */
  customConfiguration: string;
  /** Tasks, at most the topic's partitions. */
  tasksMax: string;
  /** Replicas of the dead-letter topic. */
  deadLetterReplicas: string;
  alarmTopicArn: string;
}

const CONNECT_VERSION = '3.7.x';

const WORKER = [
  'key.converter=org.apache.kafka.connect.storage.StringConverter',
  'value.converter=org.apache.kafka.connect.json.JsonConverter',
  'value.converter.schemas.enable=false',
  // A new connector starts where the topic begins; from its first commit on, where it stopped.
  'consumer.auto.offset.reset=earliest',
  '',
].join('\n');

export class KafkaToS3 extends Construct {
  readonly connector: CfnConnector;
  private readonly iam: Switch;

  constructor(scope: Construct, id: string, private readonly props: KafkaToS3Props) {
    super(scope, id);
    this.iam = equal('ConnectByIam', props.authentication, 'IAM');
    const settings = this.settings();
    const fixed = {
      plugin: `${props.pluginBucket}/${props.pluginKey}`,
      worker: WORKER,
      brokers: props.brokers,
      security: [props.authentication, props.encryption, props.brokerSecurityGroupId, props.subnetIds],
      logs: `${props.logBucket}/${props.logPrefix}`,
      version: CONNECT_VERSION,
    };
    const name = new ConnectorName(this, 'Name', { fixed, settings, custom: props.customConfiguration });
    const named = Fn.join('-', [props.projectId, 's3', name.suffix]);
    const plain = equal('HasNoCustomSettings', props.customConfiguration, '{}');
    const logs = new CfnLogGroup(this, 'Logs', { retentionInDays: 30 });
    logs.applyRemovalPolicy(RemovalPolicy.RETAIN);
    const plugin = new CfnCustomPlugin(this, 'Plugin', {
      name: named,
      contentType: 'ZIP',
      location: { s3Location: { bucketArn: bucketArn(props.pluginBucket), fileKey: props.pluginKey } },
    });
    const worker = new CfnWorkerConfiguration(this, 'Worker', { name: named, propertiesFileContent: Fn.base64(WORKER) });
    this.connector = new CfnConnector(this, 'Connector', {
      connectorName: named,
      kafkaConnectVersion: CONNECT_VERSION,
      connectorConfiguration: pick<any>(this, plain, settings, name.merged),
      capacity: this.capacity(),
      kafkaCluster: {
        apacheKafkaCluster: {
          bootstrapServers: props.brokers,
          vpc: { subnets: Fn.split(',', props.subnetIds), securityGroups: [this.securityGroup()] },
        },
      },
      kafkaClusterClientAuthentication: { authenticationType: props.authentication },
      kafkaClusterEncryptionInTransit: { encryptionType: props.encryption },
      plugins: [{ customPlugin: { customPluginArn: plugin.attrCustomPluginArn, revision: 1 } }],
      workerConfiguration: { workerConfigurationArn: worker.attrWorkerConfigurationArn, revision: 1 },
      serviceExecutionRoleArn: this.role(),
      logDelivery: {
        workerLogDelivery: {
          cloudWatchLogs: { enabled: true, logGroup: logs.ref },
          s3: { enabled: true, bucket: props.logBucket, prefix: props.logPrefix },
        },
      },
    });
    when(this, this.makesTopic(), (): CfnResource[] => {
      const topic = kafkaTopic(this, 'DeadLetters', {
        clusterArn: props.clusterArn,
        topic: this.deadLetters(),
        partitions: '1',
        replicas: props.deadLetterReplicas,
      });
      return [topic];
    });
    this.alarms(named);
  }

  /** The consumer group is the fleet's, not the connector's: one that is replaced goes on where the other stopped. */
  private get group(): string {
    return `${this.props.projectId}-kafka-to-s3`;
  }

  private deadLetters(): string {
    return `${this.props.topic}.dead-letters`;
  }

  private makesTopic(): Switch {
    return not('HasClusterArn', equal('HasNoClusterArn', this.props.clusterArn, ''));
  }

  private settings(): Record<string, string> {
    const { props } = this;
    return {
      'connector.class': 'io.confluent.connect.s3.S3SinkConnector',
      'tasks.max': props.tasksMax,
      topics: props.topic,
      's3.region': Aws.REGION,
      's3.bucket.name': props.dataBucket,
      // The connector adds the slash itself.
      'topics.dir': withoutSlash(props.dataPrefix),
      'flush.size': props.flushSize,
      'rotate.interval.ms': props.rotateIntervalMs,
      'rotate.schedule.interval.ms': props.rotateIntervalMs,
      'errors.tolerance': 'all',
      'errors.log.enable': 'true',
      'errors.deadletterqueue.topic.name': this.deadLetters(),
      'errors.deadletterqueue.topic.replication.factor': props.deadLetterReplicas,
      'errors.deadletterqueue.context.headers.enable': 'true',
      's3.compression.type': 'gzip',
      'storage.class': 'io.confluent.connect.s3.storage.S3Storage',
      'format.class': 'io.confluent.connect.s3.format.json.JsonFormat',
      'partitioner.class': 'io.confluent.connect.storage.partitioner.TimeBasedPartitioner',
      'path.format': "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH",
      'partition.duration.ms': '60000',
      timezone: 'UTC',
      locale: 'en-US',
      'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      'value.converter.schemas.enable': 'false',
      'schema.compatibility': 'NONE',
      'consumer.override.group.id': this.group,
    };
  }

  private capacity(): CfnConnector.CapacityProperty {
    return {
      autoScaling: {
        maxWorkerCount: number(this.props.workerCountMax),
        minWorkerCount: number(this.props.workerCountMin),
        mcuCount: number(this.props.workerMcuCount),
        scaleInPolicy: { cpuUtilizationPercentage: 20 },
        scaleOutPolicy: { cpuUtilizationPercentage: 80 },
      },
    };
  }

  /** Of its own: the brokers let the connector in, and nothing lets anyone into the connector. */
  private securityGroup(): string {
    const ports = { ipProtocol: 'tcp', fromPort: 9092, toPort: 9198 };
    const group = new CfnSecurityGroup(this, 'SecurityGroup', {
      vpcId: this.props.vpcId,
      groupDescription: 'Millrun: Kafka to S3 connector',
      securityGroupEgress: [
        { ipProtocol: 'tcp', fromPort: 443, toPort: 443, cidrIp: '0.0.0.0/0', description: 'S3' },
      ],
    });
    new CfnSecurityGroupEgress(this, 'ToBrokers', {
      groupId: group.attrGroupId,
      destinationSecurityGroupId: this.props.brokerSecurityGroupId,
      description: 'Kafka brokers',
      ...ports,
    });
    new CfnSecurityGroupIngress(this, 'BrokersFromConnector', {
      groupId: this.props.brokerSecurityGroupId,
      sourceSecurityGroupId: group.attrGroupId,
      description: 'Millrun: Kafka to S3 connector',
      ...ports,
    });
    return group.attrGroupId;
  }

  private role(): string {
    const { clusterName, dataBucket, dataPrefix, topic } = this.props;
    const topicArn = (name: string) => arn('kafka', `topic/${clusterName}/*/${name}`);
    const groupArn = (name: string) => arn('kafka', `group/${clusterName}/*/${name}`);
    const only = this.iam;
    const role = serviceRole(this, 'Role', {
      service: 'kafkaconnect',
      description: 'Carries events from Kafka to S3',
      statements: [
        { Sid: 'FindBucket', Action: ['s3:GetBucketLocation', 's3:ListBucket'], Resource: bucketArn(dataBucket) },
        {
          Sid: 'WriteEvents',
          Action: ['s3:AbortMultipartUpload', 's3:ListMultipartUploadParts', 's3:PutObject'],
          Resource: objects(dataBucket, dataPrefix),
        },
        ...conditional(this, [
          {
            only,
            statement: {
              Sid: 'KafkaConnect',
              Action: ['kafka-cluster:Connect', 'kafka-cluster:DescribeCluster'],
              Resource: arn('kafka', `cluster/${clusterName}/*`),
            },
          },
          {
            only,
            statement: {
              Sid: 'ReadEvents',
              Action: ['kafka-cluster:DescribeTopic', 'kafka-cluster:ReadData'],
              Resource: topicArn(topic),
            },
          },
          {
            only,
            statement: {
              Sid: 'WriteDeadLetters',
              Action: ['kafka-cluster:CreateTopic', 'kafka-cluster:DescribeTopic', 'kafka-cluster:WriteData'],
              Resource: topicArn(this.deadLetters()),
            },
          },
          {
            only,
            statement: {
              // MSK Connect keeps a connector's settings, offsets and state in topics of these names.
              Sid: 'ConnectorState',
              Action: ['kafka-cluster:CreateTopic', 'kafka-cluster:DescribeTopic', 'kafka-cluster:ReadData', 'kafka-cluster:WriteData'],
              Resource: topicArn('__amazon_msk_connect_*'),
            },
          },
          {
            only,
            statement: {
              Sid: 'ConsumerGroups',
              Action: ['kafka-cluster:AlterGroup', 'kafka-cluster:DescribeGroup'],
              Resource: [groupArn('__amazon_msk_connect_*'), groupArn(this.group)],
            },
          },
        ]),
      ],
    });
    acceptWildcards(role, "Objects below the prefix, the UUID in an MSK ARN, and the topics and groups that MSK Connect names itself.");
    return role.attrArn;
  }

  private alarms(name: string): void {
    const { alarmTopicArn, clusterName, topic } = this.props;
    const connector = (metricName: string, statistic: string) =>
      new Metric({
        namespace: 'AWS/KafkaConnect',
        metricName,
        statistic,
        period: MINUTE,
        dimensionsMap: { ConnectorName: name },
      });
    alarm(this, 'Running', alarmTopicArn, {
      description: 'The connector has no running task: nothing gets from Kafka to S3. See its log.',
      metric: connector('RunningTaskCount', 'Minimum'),
      threshold: 1,
      minutes: 10,
      below: true,
      silence: true,
    });
    alarm(this, 'ErroredTasks', alarmTopicArn, {
      description: 'Tasks of the connector have failed and are not started again. See its log; then update the stack or restart it.',
      metric: connector('ErroredTaskCount', 'Maximum'),
      threshold: 1,
      minutes: 5,
    });
    alarm(this, 'Lag', alarmTopicArn, {
      description: 'The connector is more than an hour behind; the topic deletes records after its retention.',
      metric: new Metric({
        namespace: 'AWS/Kafka',
        metricName: 'EstimatedMaxTimeLag',
        statistic: 'Maximum',
        period: MINUTE,
        dimensionsMap: { 'Cluster Name': clusterName, 'Consumer Group': this.group, Topic: topic },
      }),
      threshold: 3600,
      minutes: 10,
    });
  }
}

/** `a/b/` is `a/b`. A parameter can't be cut, but it can be split at the slash before a mark that is put behind it. */
function withoutSlash(prefix: string): string {
  if (!Token.isUnresolved(prefix)) {
    return prefix.replace(/\/$/, '');
  }
  return Fn.select(0, Fn.split('/|', Fn.join('', [prefix, '|'])));
}
