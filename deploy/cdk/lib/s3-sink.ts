/** Objects in a bucket: `<prefix>year=YYYY/month=MM/day=DD/hour=HH/…gz`. */
import { objects } from './iam';
import { ConditionalStatement, Sink, Variable } from './sink';

export interface S3SinkProps {
  bucket: string;
  /** Ends with a slash. */
  prefix: string;
  /** Bytes, uncompressed, 1,000,000 to 50,000,000. */
  batchBytesMax: string;
  /** Seconds, 30 and more. */
  batchTimeoutS: string;
}

export class S3Sink implements Sink {
  readonly kind = 's3';
  readonly journaled = true;

  constructor(private readonly props: S3SinkProps) {}

  variables(): Variable[] {
    return [
      { name: 'AWS_S3_BUCKET', value: this.props.bucket },
      { name: 'AWS_S3_PREFIX', value: this.props.prefix },
      { name: 'S3_BATCH_MAX_BYTES', value: this.props.batchBytesMax },
      { name: 'S3_BATCH_TIMEOUT_SECS', value: this.props.batchTimeoutS },
    ];
  }

  secrets() {
    return [];
  }

  statements(): ConditionalStatement[] {
    const resource = objects(this.props.bucket, this.props.prefix);
    return [{ statement: { Sid: 'WriteEvents', Action: ['s3:PutObject'], Resource: resource } }];
  }

  executionStatements() {
    return [];
  }

  connect(): void {}
}
