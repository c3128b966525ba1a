/** The construct library: `new Ingestion(this, 'Events', { … })` in any stack. */
import { Construct } from 'constructs';
import { Assembly, Settings } from './assembly';
import { EventStream } from './event-stream';
import { Fleet } from './fleet';
import { FrontDoor } from './front-door';
import { ComputeProps, IngestionProps, SinkProps } from './props';

const SINK_TYPES = { s3: 'S3', kafka: 'MSK', kinesis: 'KDS' };

export class Ingestion extends Construct {
  /** What outlives a change of sink or compute. */
  readonly frontDoor: FrontDoor;
  readonly fleet: Fleet;
  /** If the sink is Kinesis. */
  readonly eventStream?: EventStream;
  /** Where alarms go. */
  readonly alarmTopicArn: string;
  /** Endpoint of the SDKs. */
  readonly url: string;

  constructor(scope: Construct, id: string, props: IngestionProps) {
    super(scope, id);
    check(props);
    const assembly = new Assembly(this, 'Assembly', settings(props));
    const [fleet] = assembly.fleets;
    if (!fleet) {
      throw new Error(`no fleet for sink ${props.sink.kind} on ${props.compute.kind}`);
    }
    this.fleet = fleet;
    this.frontDoor = assembly.frontDoor;
    this.eventStream = assembly.eventStream;
    this.alarmTopicArn = assembly.alarmTopicArn;
    this.url = assembly.url;
  }
}

/** What types can't say; each message names the prop and the way out. */
function check(props: IngestionProps): void {
  const { endpoint, sink, tasks, network } = props;
  const fail = (message: string) => {
    throw new Error(`Ingestion: ${message}`);
  };
  if (!/^[a-z][a-z0-9_]{0,126}$/.test(props.projectId)) {
    fail(`projectId "${props.projectId}" must be a lower-case letter, then at most 126 of a-z, 0-9 and _`);
  }
  if (network.publicSubnetIds.length < 2 || network.privateSubnetIds.length < 2) {
    fail('publicSubnetIds and privateSubnetIds need two subnets each, in two zones');
  }
  if (endpoint?.certificateArn && !endpoint.domainName) {
    fail('endpoint.certificateArn needs endpoint.domainName, the name that the certificate is for');
  }
  if (endpoint?.authentication && !endpoint.certificateArn) {
    fail('endpoint.authentication needs HTTPS: set endpoint.certificateArn and endpoint.domainName');
  }
  if (tasks && (tasks.min < 1 || tasks.max < tasks.min)) {
    fail(`tasks: min ${tasks.min} must be 1 and more, and max ${tasks.max} at least that`);
  }
  if (sink.kind === 'kafka' && sink.authentication === 'SCRAM' && !sink.secretArn) {
    fail('sink.authentication "SCRAM" needs sink.secretArn');
  }
  if (sink.kind === 'kafka' && sink.authentication === 'IAM' && !sink.cluster) {
    fail('sink.authentication "IAM" needs sink.cluster: only Amazon MSK has it');
  }
  const stop = props.stopTimeoutS ?? 120;
  if (stop < 60 || stop > 120) {
    fail(`stopTimeoutS ${stop} must be 60 to 120`);
  }
}

function settings(props: IngestionProps): Settings {
  const { network, endpoint = {}, sink, compute, tasks = { min: 2, max: 4 }, scaling = {}, lifecycle = {}, alarms = {} } = props;
  const publicSubnetIds = network.publicSubnetIds.join(',');
  const privateSubnetIds = network.privateSubnetIds.join(',');
  return {
    sinkType: SINK_TYPES[sink.kind],
    computeType: compute.kind.toUpperCase(),
    frontDoor: {
      vpcId: network.vpcId,
      publicSubnetIds,
      privateSubnetIds,
      https: endpoint.certificateArn !== undefined,
      certificateArn: endpoint.certificateArn ?? '',
      domainName: endpoint.domainName ?? '',
      path: endpoint.path ?? '/collect',
      authentication: endpoint.authentication !== undefined,
      authenticationSecretArn: endpoint.authentication?.secretArn ?? '',
      authenticationSecretVersion: endpoint.authentication?.secretVersion ?? '',
      closed: false,
      accessLogs: endpoint.accessLogs !== undefined,
      accessLogBucket: endpoint.accessLogs?.bucket ?? '',
      accessLogPrefix: endpoint.accessLogs?.prefix ?? 'ingestion-server-log/',
    },
    acceleratorWanted: endpoint.globalAccelerator ?? false,
    alarmTopic: { topicArn: alarms.topicArn ?? '', email: alarms.email ?? '' },
    roles: { boundaryArn: props.roles?.boundaryArn ?? '', namePrefix: props.roles?.namePrefix ?? '' },
    engine: {
      projectId: props.projectId,
      path: endpoint.path ?? '/collect',
      corsOrigins: endpoint.corsOrigins ?? '',
      devMode: props.devMode ? 'Yes' : 'No',
      appIds: (endpoint.appIds ?? []).join(','),
    },
    fleet: {
      image: props.image,
      taskMin: String(tasks.min),
      taskMax: String(tasks.max),
      cpuPercent: String(scaling.cpuPercent ?? 50),
      busyPercent: String(scaling.busyPercent ?? 60),
      burstBusyPercent: String(scaling.burstBusyPercent ?? 80),
      stopTimeoutS: String(props.stopTimeoutS ?? 120),
      latencyP99MaxS: String(alarms.latencyP99MaxS ?? 2),
      ...computeSettings(compute, tasks.max),
    },
    dataBucket: {
      create: sink.kind !== 'kafka' && sink.bucket === undefined,
      transitionDays: String(lifecycle.transitionDays ?? 0),
      expiryDays: String(lifecycle.expiryDays ?? 0),
    },
    ...sinkSettings(sink),
    endpoints: network.endpoints && {
      wanted: true,
      vpcId: network.vpcId,
      vpcCidr: network.endpoints.vpcCidr,
      subnetIds: privateSubnetIds,
      routeTableIds: network.endpoints.privateRouteTableIds.join(','),
    },
  };
}

function computeSettings(compute: ComputeProps, taskMax: number): Pick<Settings['fleet'], 'ec2' | 'fargate'> {
  const ec2 = compute.kind === 'ec2' ? compute : undefined;
  const fargate = compute.kind === 'fargate' ? compute : undefined;
  return {
    ec2: {
      instanceType: ec2?.instanceType ?? 'c6i.large',
      hostMax: String(ec2?.hostMax ?? 2 * taskMax),
      warmPoolSize: String(ec2?.warmPoolSize ?? 0),
      journalVolumeGiB: String(ec2?.journalVolumeGiB ?? 50),
    },
    fargate: {
      architecture: fargate?.architecture ?? 'X86_64',
      cpu: String(fargate?.cpu ?? 1024),
      memoryMiB: String(fargate?.memoryMiB ?? 2048),
      ephemeralStorageGiB: String(fargate?.ephemeralStorageGiB ?? 21),
      journalGB: String(Math.max(10, (fargate?.ephemeralStorageGiB ?? 21) - 11)),
    },
  };
}

function sinkSettings(sink: SinkProps): Pick<Settings, 's3' | 'kafka' | 'kinesis'> {
  switch (sink.kind) {
    case 's3':
      return {
        s3: {
          bucket: sink.bucket ?? '',
          prefix: sink.prefix ?? 's3-data/',
          batchBytesMax: String(sink.batchBytesMax ?? 30_000_000),
          batchTimeoutS: String(sink.batchTimeoutS ?? 300),
        },
      };
    case 'kafka':
      return {
        kafka: {
          brokers: sink.brokers.join(','),
          topic: sink.topic,
          authentication: sink.authentication ?? 'NONE',
          secretArn: sink.secretArn ?? '',
          secretKeyArn: sink.secretKeyArn ?? '',
          clusterName: sink.cluster?.name ?? '',
          securityGroupId: sink.cluster?.securityGroupId ?? '',
          topicClusterArn: sink.createTopic?.clusterArn ?? '',
          topicPartitions: String(sink.createTopic?.partitions ?? 1),
          topicReplicas: String(sink.createTopic?.replicas ?? 3),
        },
      };
    case 'kinesis':
      return {
        kinesis: {
          mode: sink.mode ?? 'ON_DEMAND',
          shardCount: String(sink.shardCount ?? 3),
          retentionHours: String(sink.retentionHours ?? 24),
          code: sink.code,
          bucket: sink.bucket ?? '',
          prefix: sink.prefix ?? 'kinesis-data/',
          batchSize: String(sink.batchSize ?? 10_000),
          batchingWindowS: String(sink.batchingWindowS ?? 300),
        },
      };
  }
}
