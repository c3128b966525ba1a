/**
 * Carries a stream's records into S3. The function's code is deploy/kinesis-to-s3; here is what it needs around it.
 *
 * A batch that fails is halved until the bad record is alone; records that succeeded are not tried again; what still
 * fails after its attempts goes, with its data, to the bucket's `aws/lambda/` keys, and an alarm says so. So no record
 * blocks its shard, and none disappears.
 */
import { RemovalPolicy } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnEventSourceMapping, CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { acceptWildcards } from './accept';
import { MINUTE, alarm } from './alarm';
import { bucketArn } from './data-bucket';
import { objects, serviceRole } from './iam';
import { number } from './number';

/** Where the function's code is: a folder or zip with `bootstrap` (built for arm64) of this machine, or such a zip in S3. */
export type FunctionCode = { path: string } | { bucket: string; key: string };

export interface KinesisToS3Props {
  code: FunctionCode;
  streamArn: string;
  streamName: string;
  bucket: string;
  /** Ends with a slash. */
  prefix: string;
  /** Records, 1 to 10,000. */
  batchSize: string;
  /** Seconds, 0 to 300. */
  batchingWindowS: string;
  alarmTopicArn: string;
}

/** Attempts at a batch, and seconds that a record may wait, before it goes to the bucket's failures. */
const ATTEMPTS_MAX = 60;
const RECORD_AGE_MAX_S = 12 * 3600;

export class KinesisToS3 extends Construct {
  constructor(scope: Construct, id: string, private readonly props: KinesisToS3Props) {
    super(scope, id);
    const logs = new CfnLogGroup(this, 'Logs', { retentionInDays: 30 });
    logs.applyRemovalPolicy(RemovalPolicy.RETAIN);
    const bucket = bucketArn(props.bucket);
    const role = serviceRole(this, 'Role', {
      service: 'lambda',
      description: 'Carries events from Kinesis to S3',
      statements: [
        { Sid: 'WriteLogs', Action: ['logs:CreateLogStream', 'logs:PutLogEvents'], Resource: logs.attrArn },
        {
          Sid: 'ReadStream',
          Action: ['kinesis:DescribeStream', 'kinesis:DescribeStreamSummary', 'kinesis:GetRecords', 'kinesis:GetShardIterator', 'kinesis:ListShards'],
          Resource: props.streamArn,
        },
        { Sid: 'WriteEvents', Action: ['s3:PutObject'], Resource: objects(props.bucket, props.prefix) },
        { Sid: 'WriteFailures', Action: ['s3:PutObject'], Resource: `${bucket}/aws/lambda/*` },
        { Sid: 'CheckBucket', Action: ['s3:ListBucket'], Resource: bucket },
      ],
    });
    acceptWildcards(role, 'Objects below the prefix, and below the one that Lambda puts failed records at.');
    const carrier = new CfnFunction(this, 'Function', {
      description: 'Millrun: Kinesis to S3',
      // A program of its own, built for arm64: no language runtime to keep up with.
      runtime: 'provided.al2023',
      handler: 'bootstrap',
      architectures: ['arm64'],
      memorySize: 2048,
      timeout: 900,
      role: role.attrArn,
      code: this.code(),
      environment: { variables: { S3_BUCKET: props.bucket, S3_PREFIX: props.prefix } },
      loggingConfig: { logGroup: logs.ref, logFormat: 'JSON', applicationLogLevel: 'WARN', systemLogLevel: 'WARN' },
    });
    const source = new CfnEventSourceMapping(this, 'Source', {
      functionName: carrier.ref,
      eventSourceArn: props.streamArn,
      batchSize: number(props.batchSize),
      maximumBatchingWindowInSeconds: number(props.batchingWindowS),
      startingPosition: 'TRIM_HORIZON',
      bisectBatchOnFunctionError: true,
      functionResponseTypes: ['ReportBatchItemFailures'],
      maximumRetryAttempts: ATTEMPTS_MAX,
      maximumRecordAgeInSeconds: RECORD_AGE_MAX_S,
      destinationConfig: { onFailure: { destination: bucket } },
      metricsConfig: { metrics: ['EventCount'] },
    });
    this.alarms(carrier, source);
  }

  private code(): CfnFunction.CodeProperty {
    const { code } = this.props;
    if ('path' in code) {
      const asset = new Asset(this, 'Code', { path: code.path });
      return { s3Bucket: asset.s3BucketName, s3Key: asset.s3ObjectKey };
    }
    return { s3Bucket: code.bucket, s3Key: code.key };
  }

  private alarms(carrier: CfnFunction, source: CfnEventSourceMapping): void {
    const of = (metricName: string, dimensionsMap: Record<string, string>, statistic = 'Sum') =>
      new Metric({ namespace: 'AWS/Lambda', metricName, statistic, period: MINUTE, dimensionsMap });
    const ofFunction = { FunctionName: carrier.ref };
    const ofSource = { EventSourceMappingUUID: source.attrId };
    const topic = this.props.alarmTopicArn;
    alarm(this, 'Errors', topic, {
      description: 'The Kinesis-to-S3 function fails; records wait in the stream meanwhile. See its log.',
      metric: of('Errors', ofFunction),
      threshold: 1,
      minutes: 3,
    });
    alarm(this, 'Throttles', topic, {
      description: 'The Kinesis-to-S3 function is throttled: the account has no concurrency left for it.',
      metric: of('Throttles', ofFunction),
      threshold: 1,
      minutes: 5,
    });
    alarm(this, 'IteratorAge', topic, {
      description: 'Records wait in the stream for more than 30 minutes before they are in S3; the stream deletes them after its retention.',
      metric: of('IteratorAge', ofFunction, 'Maximum'),
      threshold: 1800_000,
      minutes: 5,
    });
    alarm(this, 'Failed', topic, {
      description: "Records were given up and went, with their data, to the bucket's aws/lambda/ keys. docs/deploy.md says how to bring them back.",
      metric: of('OnFailureDestinationDeliveredEventCount', ofSource),
      threshold: 1,
      minutes: 1,
    });
    alarm(this, 'Dropped', topic, {
      description: 'Records were given up and could not even be put aside: until the retention ends they are in the stream.',
      metric: of('DroppedEventCount', ofSource),
      threshold: 1,
      minutes: 1,
    });
  }
}
