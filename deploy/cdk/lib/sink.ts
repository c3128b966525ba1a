/** What a fleet needs to know of its sink. Each sink has a file of its own that makes one of these. */
import { Construct } from 'constructs';
import { Statement } from './iam';
import { Switch } from './switch';

/** A variable of the container, perhaps only under a condition. */
export interface Variable {
  name: string;
  value: string;
  only?: Switch;
}

/** A variable whose value comes from Secrets Manager when a task starts. */
export interface SecretVariable {
  name: string;
  /** `<secret ARN>:<JSON key>::` */
  valueFrom: string;
  only?: Switch;
}

/** A statement that a role has only under a condition. */
export interface ConditionalStatement {
  statement: Statement;
  only?: Switch;
}

export interface Sink {
  readonly kind: 's3' | 'kafka' | 'kinesis';
  /**
   * Whether 200 means "in this host's journal": S3 objects take minutes to fill, so a request can't wait for them.
   */
  readonly journaled: boolean;
  variables(scope: Construct): Variable[];
  secrets(scope: Construct): SecretVariable[];
  /** For whoever writes to the sink: tasks, and a host that empties its journal. */
  statements(scope: Construct): ConditionalStatement[];
  /** For ECS, which reads the secrets. */
  executionStatements(scope: Construct): ConditionalStatement[];
  /** Opens the way to the sink, beyond AWS's own endpoints. */
  connect(scope: Construct, engineSecurityGroupId: string): void;
}
