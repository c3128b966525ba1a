/**
 * What these templates know of the engine: its variables, ports, paths, timeouts and metric names, all in this file.
 * `engine/millrun.toml` is the reference of the keys.
 */
import { Aws } from 'aws-cdk-lib';

/** Container and log stream name. */
export const CONTAINER = 'millrun';

/** The data port: events, /ping and /health. */
export const DATA_PORT = 8088;

export const PING_PATH = '/ping';
export const HEALTH_PATH = '/health';

/** Asks the engine in its own container; the image has no shell to ask with. */
export const HEALTH_COMMAND = ['CMD', '/usr/local/bin/millrun', 'health'];

/** User and group of the process in the image, who must own the journal's directory. */
export const ENGINE_UID = 65532;

/** Where a volume for the journal is mounted, in the container and on an EC2 host. */
export const STATE_DIR = '/var/lib/millrun';
export const JOURNAL_DIR = `${STATE_DIR}/journal`;

/**
 * Seconds. The load balancer keeps idle connections to a host for less time than the engine does
 * (limits.idle_timeout_ms = 200000), or it would send requests into closed ones and answer 502.
 */
export const ALB_IDLE_TIMEOUT_S = 180;

/**
 * Seconds between the last new request for a host and its SIGTERM: the longest that a request may take, which is a
 * body (limits.body_timeout_ms = 30000) and its acknowledgement (ack.deadline_ms = 4000), and some more.
 */
export const DEREGISTRATION_DELAY_S = 40;

/** Names and units of the metrics that the engine writes in CloudWatch's embedded metric format, without dimensions. */
export const METRICS = {
  /** Percent of the time that the busiest shard works. What to scale on. */
  busy: 'busy',
  /** Count of requests answered. */
  requests: 'requests',
  /** Count of requests answered with 4xx or 5xx. */
  errors: 'errors',
  /** Milliseconds from a request's first byte to its answer's last. */
  latency: 'request_duration_ms',
  /** Count of failed attempts at a sink. */
  sinkFaults: 'sink_faults',
  /** Bytes that wait in the journal. */
  journalBytes: 'journal_bytes',
  /** Milliseconds since the oldest record that waits was written. */
  journalAge: 'journal_age_ms',
};

/** The engine's metrics of one fleet have a namespace of their own instead of a dimension. */
export function metricsNamespace(projectId: string): string {
  return `Millrun/${projectId}`;
}

/** Absent, in the manner of the system that is replaced. */
const NOT_SET = '__NOT_SET__';

/** What is the same for every sink. */
export interface EngineSettings {
  projectId: string;
  /** Exact path of the event route. */
  path: string;
  /** `|`-separated origins as in the replaced system, or "". */
  corsOrigins: string;
  devMode: string;
  /** Comma list of apps whose events are taken, or "": all. */
  appIds: string;
  /** "true" answers 308 to the https URL when the load balancer says X-Forwarded-Proto: http. */
  redirectToHttps: string;
}

export type Variables = Record<string, string>;

export interface JournalSettings {
  /** Bytes, see {@link journalBytes}. */
  bytesMax: string;
  /** Seconds between SIGTERM and SIGKILL: the engine empties its journal until shortly before. */
  stopTimeoutS: string;
}

/**
 * Bytes of a journal on a disk of so many GiB: as many GB, which is 93 % of it. Text, since CloudFormation can't
 * multiply but can write nine zeros behind a parameter.
 */
export function journalBytes(gigabytes: string): string {
  return `${gigabytes}000000000`;
}

/** The container's environment without its sink, which names its own variables; those of other sinks stay absent. */
export function environment(settings: EngineSettings, journal?: JournalSettings): Variables {
  const journaled: Variables = journal
    ? {
        MILLRUN_ROUTE__EVENTS__ACK: 'journaled',
        MILLRUN_JOURNAL__DIR: JOURNAL_DIR,
        MILLRUN_JOURNAL__BYTES_MAX: journal.bytesMax,
        MILLRUN_DRAIN__JOURNAL: 'wait',
        MILLRUN_DRAIN__STOP_TIMEOUT_MS: `${journal.stopTimeoutS}000`,
      }
    : { MILLRUN_ROUTE__EVENTS__ACK: 'delivered' };
  return {
    AWS_REGION: Aws.REGION,
    SERVER_ENDPOINT_PATH: settings.path,
    PING_ENDPOINT_PATH: PING_PATH,
    SERVER_CORS_ORIGIN: settings.corsOrigins,
    DEV_MODE: settings.devMode,
    AWS_MSK_BROKERS: NOT_SET,
    AWS_MSK_TOPIC: NOT_SET,
    AWS_KINESIS_STREAM_NAME: NOT_SET,
    AWS_S3_BUCKET: NOT_SET,
    MILLRUN_SERVER__LISTEN: `0.0.0.0:${DATA_PORT}`,
    MILLRUN_SERVER__REDIRECT_TO_HTTPS: settings.redirectToHttps,
    MILLRUN_ROUTE__EVENTS__APP_IDS: settings.appIds,
    MILLRUN_METRICS__EMF: 'true',
    MILLRUN_METRICS__NAMESPACE: metricsNamespace(settings.projectId),
    MILLRUN_LOG__FORMAT: 'json',
    ...journaled,
  };
}
