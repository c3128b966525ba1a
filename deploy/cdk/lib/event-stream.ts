/**
 * The Kinesis stream and its way to S3, in a stack of their own: a change of compute does not touch them, on-demand and
 * provisioned are exchanged in place, and a change of sink leaves the stream behind with what is unread in it.
 */
import { CfnDeletionPolicy, NestedStack } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnStream } from 'aws-cdk-lib/aws-kinesis';
import { Construct } from 'constructs';
import { MINUTE, alarm } from './alarm';
import { carry } from './carry';
import { FunctionCode, KinesisToS3 } from './kinesis-to-s3';
import { equal, pick, pickText } from './switch';
import { number } from './number';

export interface EventStreamProps {
  /** "ON_DEMAND" or "PROVISIONED". */
  mode: string;
  /** Shards of a provisioned stream. */
  shardCount: string;
  /** Hours, 24 to 8760. */
  retentionHours: string;
  code: FunctionCode;
  bucket: string;
  prefix: string;
  batchSize: string;
  batchingWindowS: string;
  alarmTopicArn: string;
}

export class EventStream extends NestedStack {
  readonly stream: CfnStream;

  constructor(scope: Construct, id: string, props: EventStreamProps) {
    super(scope, id);
    const alarmTopicArn = carry(this, 'AlarmTopicArn', props.alarmTopicArn);
    const bucket = carry(this, 'DataBucketName', props.bucket);
    const prefix = carry(this, 'DataPrefix', props.prefix);
    const provisioned = equal('StreamIsProvisioned', props.mode, 'PROVISIONED');
    this.stream = new CfnStream(this, 'Stream', {
      streamModeDetails: { streamMode: pickText(this, provisioned, 'PROVISIONED', 'ON_DEMAND') },
      shardCount: pick<any>(this, provisioned, number(props.shardCount), { Ref: 'AWS::NoValue' }),
      retentionPeriodHours: number(props.retentionHours),
      streamEncryption: { encryptionType: 'KMS', keyId: 'alias/aws/kinesis' },
    });
    this.stream.cfnOptions.deletionPolicy = CfnDeletionPolicy.RETAIN;
    this.stream.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
    new KinesisToS3(this, 'ToS3', { ...props, bucket, prefix, alarmTopicArn, streamArn: this.stream.attrArn, streamName: this.stream.ref });
    const metric = (metricName: string) =>
      new Metric({
        namespace: 'AWS/Kinesis',
        metricName,
        statistic: 'Sum',
        period: MINUTE,
        dimensionsMap: { StreamName: this.stream.ref },
      });
    alarm(this, 'WriteThrottles', alarmTopicArn, {
      description: 'The stream refuses records: it needs more shards, or its on-demand capacity has not grown yet.',
      metric: metric('WriteProvisionedThroughputExceeded'),
      threshold: 1,
      minutes: 3,
    });
    alarm(this, 'ReadThrottles', alarmTopicArn, {
      description: 'The stream refuses reads: another consumer takes the share of the Kinesis-to-S3 function.',
      metric: metric('ReadProvisionedThroughputExceeded'),
      threshold: 1,
      minutes: 15,
    });
  }
}
