/** Records in a Kinesis data stream. */
import { ConditionalStatement, Sink, Variable } from './sink';

export interface KinesisSinkProps {
  streamName: string;
  streamArn: string;
}

export class KinesisSink implements Sink {
  readonly kind = 'kinesis';
  readonly journaled = false;

  constructor(private readonly props: KinesisSinkProps) {}

  variables(): Variable[] {
    return [{ name: 'AWS_KINESIS_STREAM_NAME', value: this.props.streamName }];
  }

  secrets() {
    return [];
  }

  statements(): ConditionalStatement[] {
    return [
      {
        statement: {
          Sid: 'WriteEvents',
          // The description tells the engine whether the stream is there at all, and its shards how much it takes.
          Action: ['kinesis:PutRecords', 'kinesis:DescribeStreamSummary', 'kinesis:ListShards'],
          Resource: this.props.streamArn,
        },
      },
    ];
  }

  executionStatements() {
    return [];
  }

  connect(): void {}
}
