/** The typed props of the construct library. Every default is named here once; the console's parameters have the same. */
import { FunctionCode } from './kinesis-to-s3';

export interface NetworkProps {
  vpcId: string;
  /** Subnets of the load balancer in two zones or more. The private ones make it an internal load balancer. */
  publicSubnetIds: string[];
  /** Subnets of the engines in two zones or more. */
  privateSubnetIds: string[];
  /** VPC endpoints for what engines and hosts call, in place of a NAT gateway; absent: none. */
  endpoints?: { vpcCidr: string; privateRouteTableIds: string[] };
}

export interface EndpointProps {
  /** Exact path of the events. Default "/collect". */
  path?: string;
  /** Host that requests must name. Needed for HTTPS. */
  domainName?: string;
  /** ACM certificate of the domain: switches HTTPS on. */
  certificateArn?: string;
  /** Origins whose pages may read answers, as `|`-separated patterns. Default: none. */
  corsOrigins?: string;
  /** Apps whose events are taken. Default: all. */
  appIds?: string[];
  /** OIDC at the load balancer; needs HTTPS. The secret has issuer, userEndpoint, authorizationEndpoint, tokenEndpoint, appClientId, appClientSecret. */
  authentication?: { secretArn: string; secretVersion?: string };
  /** Access logs of the load balancer; the bucket's policy must let it write. */
  accessLogs?: { bucket: string; prefix?: string };
  globalAccelerator?: boolean;
}

export interface S3Props {
  kind: 's3';
  /** Name of a bucket; absent: one is made, with `lifecycle`. */
  bucket?: string;
  /** Ends with a slash. Default "s3-data/". */
  prefix?: string;
  /** Bytes, uncompressed, 1,000,000 to 50,000,000. Default 30,000,000. */
  batchBytesMax?: number;
  /** Seconds, 30 and more. Default 300. */
  batchTimeoutS?: number;
}

export interface KafkaProps {
  kind: 'kafka';
  /** host:port */
  brokers: string[];
  topic: string;
  /** Default "NONE", as in the replaced system; see kafka-sink.ts. */
  authentication?: 'NONE' | 'TLS' | 'SCRAM' | 'IAM';
  /** Secret {"username", "password"} for SCRAM. */
  secretArn?: string;
  /** Key of the secret. */
  secretKeyArn?: string;
  /** Amazon MSK: name of the cluster, and security group of the brokers. */
  cluster?: { name: string; securityGroupId?: string };
  /** Creates the topic in this MSK cluster. */
  createTopic?: { clusterArn: string; partitions: number; replicas: number };
}

export interface KinesisProps {
  kind: 'kinesis';
  /** Default "ON_DEMAND". */
  mode?: 'ON_DEMAND' | 'PROVISIONED';
  /** Default 3. */
  shardCount?: number;
  /** 24 to 8760. Default 24. */
  retentionHours?: number;
  /** Of deploy/kinesis-to-s3, built. */
  code: FunctionCode;
  /** Name of a bucket; absent: one is made, with `lifecycle`. */
  bucket?: string;
  /** Ends with a slash. Default "kinesis-data/". */
  prefix?: string;
  /** 1 to 10,000. Default 10,000. */
  batchSize?: number;
  /** 0 to 300. Default 300. */
  batchingWindowS?: number;
}

export type SinkProps = S3Props | KafkaProps | KinesisProps;

export interface Ec2Props {
  kind: 'ec2';
  /** One of host-size.ts. Default "c6i.large", as in the replaced system. */
  instanceType?: string;
  /** Most hosts: a limit, not an aim. Default: twice the most tasks, so that a deployment goes in one step. */
  hostMax?: number;
  /** Stopped hosts that wait for a burst. Default 0. */
  warmPoolSize?: number;
  /** GiB, 20 and more. Default 50. */
  journalVolumeGiB?: number;
}

export interface FargateProps {
  kind: 'fargate';
  /** Default "X86_64". */
  architecture?: 'X86_64' | 'ARM64';
  /** CPU units. Default 1024. */
  cpu?: number;
  /** MiB. Default 2048. */
  memoryMiB?: number;
  /** GiB, 21 to 200: the journal's room; it is gone with the task. Default 21. */
  ephemeralStorageGiB?: number;
}

export type ComputeProps = Ec2Props | FargateProps;

export interface IngestionProps {
  /** `[a-z][a-z0-9_]{0,126}` */
  projectId: string;
  /** Image URI, best with a digest. */
  image: string;
  network: NetworkProps;
  endpoint?: EndpointProps;
  sink: SinkProps;
  compute: ComputeProps;
  /** Tasks. Default 2 and 4. */
  tasks?: { min: number; max: number };
  /** Percent. Defaults 50, 60 and 80. */
  scaling?: { cpuPercent?: number; busyPercent?: number; burstBusyPercent?: number };
  /** Seconds between SIGTERM and SIGKILL, 60 to 120. Default 120. */
  stopTimeoutS?: number;
  /** Of a bucket made here: days, 0 is never. Default 0. */
  lifecycle?: { transitionDays?: number; expiryDays?: number };
  alarms?: { topicArn?: string; email?: string; latencyP99MaxS?: number };
  roles?: { boundaryArn?: string; namePrefix?: string };
  /** Lets queries replace the recorded address. Never in production. */
  devMode?: boolean;
}
