/**
 * The parent template, with the parameters of the replaced system by their names, and those that are new. Everything is
 * decided by CloudFormation, so one set of templates in a bucket serves every deployment from the console.
 */
import { CfnRule, Fn, Stack, StackProps } from 'aws-cdk-lib';
import { CfnResourceAssociation } from 'aws-cdk-lib/aws-servicecatalogappregistry';
import { Construct } from 'constructs';
import { Assembly, COMPUTES, SINKS, Settings } from '../assembly';
import { HOST_SIZES } from '../host-size';
import { FunctionCode } from '../kinesis-to-s3';
import { Switch, and, equal, not, pickText, when } from '../switch';
import { acceptParameters } from './accept';
import { PATTERNS, Parameters } from './parameters';

export interface ConsoleStackProps extends StackProps {
  /** The built Kinesis-to-S3 function on this machine; absent: parameters name its zip in S3. */
  functionPath?: string;
}

export class ConsoleStack extends Stack {
  constructor(scope: Construct, id: string, props: ConsoleStackProps = {}) {
    super(scope, id, { description: 'Millrun: ingestion of SDK events', ...props });
    acceptParameters(this, 'W1001', 'W2509', 'W8003');
    const p = new Parameters(this);
    const choice = choices(p);
    const network = networkOf(p);
    const endpoint = endpointOf(p);
    const fleet = fleetOf(p);
    const sinks = sinksOf(p, props.functionPath);
    const governance = governanceOf(p);
    const { engine, frontDoor } = this.endpoint(choice.projectId, endpoint, network);
    new Assembly(this, 'Ingestion', {
      ...choice,
      frontDoor,
      engine,
      acceleratorWanted: equal('WantsAccelerator', endpoint.accelerator, 'Yes'),
      alarmTopic: governance.alarmTopic,
      roles: governance.roles,
      fleet: { ...fleet, latencyP99MaxS: governance.latencyP99MaxS },
      ...sinks,
      endpoints: {
        wanted: equal('WantsEndpoints', network.endpoints, 'Yes'),
        vpcId: network.vpcId,
        vpcCidr: network.vpcCidr,
        subnetIds: network.privateSubnetIds,
        routeTableIds: network.routeTableIds,
      },
    });
    applicationOf(this, governance.applicationArn);
    this.rules(choice, endpoint, network, sinks, props.functionPath === undefined);
  }

  private endpoint(projectId: string, endpoint: Endpoint, network: Network): Pick<Settings, 'engine' | 'frontDoor'> {
    const sdk = equal('IsClickStreamSdk', endpoint.sdk, 'Yes');
    const none = equal('HasNoApps', endpoint.appIds, '');
    return {
      engine: {
        projectId,
        path: endpoint.path,
        corsOrigins: endpoint.corsOrigins,
        devMode: endpoint.devMode,
        // Third-party SDKs name no app.
        appIds: pickText(this, sdk, endpoint.appIds, ''),
      },
      frontDoor: {
        vpcId: network.vpcId,
        publicSubnetIds: network.publicSubnetIds,
        privateSubnetIds: network.privateSubnetIds,
        https: equal('IsHttps', endpoint.protocol, 'HTTPS'),
        certificateArn: endpoint.certificateArn,
        domainName: endpoint.domainName,
        path: endpoint.path,
        authentication: equal('HasAuthentication', endpoint.authentication, 'Yes'),
        authenticationSecretArn: endpoint.secretArn,
        authenticationSecretVersion: endpoint.secretVersion,
        closed: and('IsClosed', sdk, none),
        accessLogs: equal('HasAccessLogs', endpoint.accessLogs, 'Yes'),
        accessLogBucket: endpoint.logBucket,
        accessLogPrefix: endpoint.logPrefix,
      },
    };
  }

  /** What goes together, refused before anything is made. */
  private rules(choice: Choice, endpoint: Endpoint, network: Network, sinks: Sinks, needsCode: boolean): void {
    const is = (value: string, wanted: string) => Fn.conditionEquals(value, wanted);
    const set = (value: string) => Fn.conditionNot(is(value, ''));
    const rule = (name: string, when: [string, string], assert: string[], description: string) =>
      new CfnRule(this, name, {
        ruleCondition: is(...when),
        assertions: assert.map((value) => ({ assert: set(value), assertDescription: description })),
      });
    const madeHere = (bucket: string) => Fn.conditionOr(set(bucket), is(sinks.createBucket, 'Yes'));
    rule('LogsNeedBucket', [endpoint.accessLogs, 'Yes'], [endpoint.logBucket, endpoint.logPrefix], 'EnableApplicationLoadBalancerAccessLog=Yes needs LogS3Bucket and LogS3Prefix');
    rule('HttpsNeedsCertificate', [endpoint.protocol, 'HTTPS'], [endpoint.certificateArn, endpoint.domainName], 'Protocol=HTTPS needs ACMCertificateArn and DomainName');
    rule('EndpointsNeedRoutes', [network.endpoints, 'Yes'], [network.vpcCidr, network.routeTableIds], 'CreateVpcEndpoints=Yes needs VpcCidr and PrivateRouteTableIds');
    rule('KafkaNeedsBrokers', [choice.sinkType, 'MSK'], [sinks.kafka.brokers, sinks.kafka.topic], 'SinkType=MSK needs KafkaBrokers and KafkaTopic');
    rule('ScramNeedsSecret', [sinks.kafka.authentication, 'SCRAM'], [sinks.kafka.secretArn], 'KafkaAuthentication=SCRAM needs KafkaSecretArn');
    rule('IamNeedsCluster', [sinks.kafka.authentication, 'IAM'], [sinks.kafka.clusterName], 'KafkaAuthentication=IAM needs MskClusterName');
    rule('S3NeedsPrefix', [choice.sinkType, 'S3'], [sinks.s3.prefix], 'SinkType=S3 needs S3DataPrefix');
    rule('KinesisNeedsPrefix', [choice.sinkType, 'KDS'], [sinks.kinesis.prefix], 'SinkType=KDS needs KinesisDataS3Prefix');
    const bucket = (name: string, sink: string, value: string, description: string) =>
      new CfnRule(this, name, {
        ruleCondition: is(choice.sinkType, sink),
        assertions: [{ assert: madeHere(value), assertDescription: description }],
      });
    bucket('S3NeedsBucket', 'S3', sinks.s3.bucket, 'SinkType=S3 needs S3DataBucket, or CreateDataBucket=Yes');
    bucket('KinesisNeedsBucket', 'KDS', sinks.kinesis.bucket, 'SinkType=KDS needs KinesisDataS3Bucket, or CreateDataBucket=Yes');
    if (needsCode && 'bucket' in sinks.kinesis.code) {
      rule('KinesisNeedsFunction', [choice.sinkType, 'KDS'], [sinks.kinesis.code.bucket, sinks.kinesis.code.key], 'SinkType=KDS needs KinesisToS3CodeBucket and KinesisToS3CodeKey');
    }
    new CfnRule(this, 'AuthenticationNeedsHttps', {
      ruleCondition: is(endpoint.authentication, 'Yes'),
      assertions: [
        { assert: set(endpoint.secretArn), assertDescription: 'EnableAuthentication=Yes needs AuthenticationSecretArn' },
        { assert: is(endpoint.protocol, 'HTTPS'), assertDescription: 'EnableAuthentication=Yes needs Protocol=HTTPS' },
      ],
    });
  }
}

type Choice = ReturnType<typeof choices>;
type Network = ReturnType<typeof networkOf>;
type Endpoint = ReturnType<typeof endpointOf>;
type Sinks = ReturnType<typeof sinksOf>;

function choices(p: Parameters) {
  p.group('Project');
  return {
    projectId: p.text('ProjectId', 'Name of the project: a lower-case letter, then at most 126 of a-z, 0-9 and _', { allowedPattern: `^${PATTERNS.projectId}$` }),
    computeType: p.choice('EcsInfraType', 'What runs the engines', COMPUTES),
    sinkType: p.choice('SinkType', 'Where events go: S3, Kafka (MSK) or Kinesis (KDS)', SINKS),
  };
}

function networkOf(p: Parameters) {
  p.group('Network');
  const subnets = { allowedPattern: `^${PATTERNS.subnets}$` };
  return {
    vpcId: p.text('VpcId', 'VPC of everything', { type: 'AWS::EC2::VPC::Id' }),
    publicSubnetIds: p.text('PublicSubnetIds', 'Comma list: subnets of the load balancer, in two zones or more. The private ones make it internal', subnets),
    privateSubnetIds: p.text('PrivateSubnetIds', 'Comma list: subnets of the engines, in two zones or more', subnets),
    endpoints: p.choice('CreateVpcEndpoints', 'VPC endpoints for what engines and hosts call, in place of a NAT gateway', ['No', 'Yes']),
    vpcCidr: p.optional('VpcCidr', "CIDR block of the VPC, for the endpoints' security group", '[0-9.]+/[0-9]+'),
    routeTableIds: p.optional('PrivateRouteTableIds', 'Comma list: route tables of the private subnets, for the S3 endpoint', 'rtb-[a-f0-9]+(,rtb-[a-f0-9]+)*'),
  };
}

function endpointOf(p: Parameters) {
  p.group('Endpoint');
  const yesNo = ['No', 'Yes'];
  return {
    protocol: p.choice('Protocol', 'HTTPS needs a domain and a certificate', ['HTTP', 'HTTPS']),
    domainName: p.optional('DomainName', 'Host that requests must name', PATTERNS.domain),
    certificateArn: p.optional('ACMCertificateArn', "The domain's certificate", PATTERNS.certificate),
    path: p.text('ServerEndpointPath', 'Exact path of the events', { default: '/collect', allowedPattern: `^${PATTERNS.path}$` }),
    corsOrigins: p.text('ServerCorsOrigin', 'Origins whose pages may read answers: empty, .*, or patterns with | between them', { default: '' }),
    sdk: p.choice('ClickStreamSDK', 'Yes: events name their app. No: third-party SDKs, which do not', ['Yes', 'No']),
    appIds: p.optional('AppIds', 'Comma list: apps whose events are taken. With ClickStreamSDK=Yes and no app, everything is refused', PATTERNS.appIds),
    authentication: p.choice('EnableAuthentication', 'OIDC at the load balancer', yesNo),
    secretArn: p.optional('AuthenticationSecretArn', 'Secret with issuer, userEndpoint, authorizationEndpoint, tokenEndpoint, appClientId, appClientSecret', PATTERNS.secret),
    secretVersion: p.optional('AuthenticationSecretVersion', 'Version id of that secret: change it to bring a changed secret to the load balancer', '[a-zA-Z0-9-]{32,64}'),
    accelerator: p.choice('EnableGlobalAccelerator', "Global Accelerator in front (not in China's regions)", yesNo),
    accessLogs: p.choice('EnableApplicationLoadBalancerAccessLog', 'Access logs of the load balancer', yesNo),
    logBucket: p.optional('LogS3Bucket', 'Bucket of the access logs; its policy must let the load balancer write', PATTERNS.bucket),
    logPrefix: p.text('LogS3Prefix', 'Prefix of the access logs', { default: 'ingestion-server-log/', allowedPattern: `^$|^${PATTERNS.prefix}$` }),
    devMode: p.choice('DevMode', 'Lets queries replace the recorded address. Never in production', yesNo),
  };
}

function fleetOf(p: Parameters): Omit<Settings['fleet'], 'latencyP99MaxS'> {
  p.group('Fleet');
  return {
    image: p.text('Image', "URI of Millrun's image, best with a digest", { allowedPattern: '^[^ ]+$' }),
    taskMin: p.number('ServerMin', 'Fewest engines', 2, 1),
    taskMax: p.number('ServerMax', 'Most engines', 2, 1),
    cpuPercent: p.number('ScaleOnCpuUtilizationPercent', 'CPU that scaling aims at', 50, 1, 100),
    busyPercent: p.number('ScaleOnBusyPercent', 'Share of the time that the busiest shards should work', 60, 1, 100),
    burstBusyPercent: p.number('BurstBusyPercent', 'From here on half as many engines again are added within a minute', 80, 1, 100),
    stopTimeoutS: p.number('WorkerStopTimeout', 'Seconds between SIGTERM and SIGKILL', 120, 60, 120),
    ec2: {
      instanceType: p.choice('InstanceType', 'EC2: type of the hosts; one engine has one host', Object.keys(HOST_SIZES), 'c6i.large'),
      hostMax: p.number('HostMax', 'EC2: most hosts, a limit and not an aim. Twice ServerMax lets a deployment go in one step; it needs one more at least', 100, 1),
      warmPoolSize: p.number('WarmPoolSize', 'EC2: stopped hosts that wait for a burst', 0, 0),
      journalVolumeGiB: p.number('JournalVolumeGiB', "EC2 with SinkType=S3: disk of each host's journal", 50, 20, 16384),
    },
    fargate: {
      architecture: p.choice('FargateArchitecture', 'Fargate: processor', ['X86_64', 'ARM64']),
      cpu: p.choice('FargateCpu', 'Fargate: CPU units of a task', ['256', '512', '1024', '2048', '4096', '8192', '16384'], '1024'),
      memoryMiB: p.number('FargateMemory', 'Fargate: MiB of a task; it must fit FargateCpu', 2048, 512, 122880),
      ephemeralStorageGiB: p.number('FargateEphemeralStorage', 'Fargate with SinkType=S3: GiB of a task, for its journal and image', 21, 21, 200),
      journalGB: p.number('FargateJournalGB', 'Fargate with SinkType=S3: GB of the journal, at least 5 below the storage. It is gone with the task', 10, 1, 195),
    },
  };
}

function sinksOf(p: Parameters, functionPath?: string) {
  p.group('S3');
  const bucketPattern = PATTERNS.bucket;
  const prefix = (name: string, initial: string) =>
    p.text(name, 'Prefix of the objects; ends with a slash', { default: initial, allowedPattern: `^$|^${PATTERNS.prefix}$` });
  const s3 = {
    bucket: p.optional('S3DataBucket', 'SinkType=S3: bucket of the events', bucketPattern),
    prefix: prefix('S3DataPrefix', 's3-data/'),
    batchBytesMax: p.number('S3BatchMaxBytes', 'Bytes of an object before compression', 30_000_000, 1_000_000, 50_000_000),
    batchTimeoutS: p.number('S3BatchTimeout', 'Seconds until an object is written however small it is', 300, 30, 3600),
  };
  const createBucket = p.choice('CreateDataBucket', 'Makes the bucket of SinkType=S3 or KDS, in place of the one that is named', ['No', 'Yes']);
  const dataBucket = {
    create: and('MakesDataBucket', equal('WantsDataBucket', createBucket, 'Yes'), not('SinkIsNotMSK', equal('SinkIsMSK', p.value('SinkType'), 'MSK'))) as Switch,
    transitionDays: p.number('DataTransitionDays', 'Bucket made here: days until objects move to Intelligent-Tiering; 0: never', 0, 0),
    expiryDays: p.number('DataExpiryDays', 'Bucket made here: days until objects are deleted; 0: never', 0, 0),
  };
  p.group('Kinesis');
  const kinesis = {
    bucket: p.optional('KinesisDataS3Bucket', 'SinkType=KDS: bucket that the stream is carried to', bucketPattern),
    prefix: prefix('KinesisDataS3Prefix', 'kinesis-data/'),
    mode: p.choice('KinesisStreamMode', 'Capacity of the stream; changed in place', ['ON_DEMAND', 'PROVISIONED']),
    shardCount: p.number('KinesisShardCount', 'PROVISIONED: shards', 3, 1),
    retentionHours: p.number('KinesisDataRetentionHours', 'Hours that the stream keeps records', 24, 24, 8760),
    batchSize: p.number('KinesisBatchSize', 'Records that the function gets at once', 10_000, 1, 10_000),
    batchingWindowS: p.number('KinesisMaxBatchingWindowSeconds', 'Seconds that it waits for them', 300, 0, 300),
    code: codeOf(p, functionPath),
  };
  p.group('Kafka');
  const kafka = {
    brokers: p.optional('KafkaBrokers', 'Comma list of host:port', PATTERNS.brokers),
    topic: p.optional('KafkaTopic', 'Topic of the events', PATTERNS.topic),
    authentication: p.choice('KafkaAuthentication', 'Towards the brokers. NONE is plaintext', ['NONE', 'TLS', 'SCRAM', 'IAM']),
    secretArn: p.optional('KafkaSecretArn', 'SCRAM: secret with username and password', PATTERNS.secret),
    secretKeyArn: p.optional('KafkaSecretKeyArn', "SCRAM: the secret's own KMS key, which MSK asks for", PATTERNS.arn),
    clusterName: p.optional('MskClusterName', 'MSK: name of the cluster', PATTERNS.clusterName),
    securityGroupId: p.optional('MskSecurityGroupId', 'MSK: security group of the brokers, which lets the engines in', PATTERNS.securityGroup),
    topicClusterArn: p.optional('KafkaTopicClusterArn', 'MSK: ARN of the cluster, to create the topic; empty: it exists', PATTERNS.arn),
    topicPartitions: p.number('KafkaTopicPartitions', 'Partitions of a topic made here', 12, 1),
    topicReplicas: p.number('KafkaTopicReplicas', 'Replicas of a topic made here', 3, 1),
  };
  return { s3, kinesis, kafka, dataBucket, createBucket };
}

function codeOf(p: Parameters, path?: string): FunctionCode {
  if (path !== undefined) {
    return { path };
  }
  return {
    bucket: p.optional('KinesisToS3CodeBucket', "SinkType=KDS: bucket of the Kinesis-to-S3 function's zip", PATTERNS.bucket),
    key: p.optional('KinesisToS3CodeKey', 'SinkType=KDS: its key', '.+'),
  };
}

function governanceOf(p: Parameters) {
  p.group('Alarms, roles');
  return {
    alarmTopic: {
      topicArn: p.optional('AlarmTopicArn', 'SNS topic of the alarms; empty: one is made', PATTERNS.arn),
      email: p.optional('AlarmEmail', 'Address that gets the alarms of a topic made here', '[^@ ]+@[^@ ]+'),
    },
    latencyP99MaxS: p.number('AlarmLatencySeconds', 'Alarm when the slowest 1 % of the requests take longer', 2, 0),
    roles: {
      namePrefix: p.text('IamRolePrefix', 'First part of the names of all roles', { default: '', allowedPattern: '^[a-zA-Z0-9_+=,.@-]{0,38}$' }),
      boundaryArn: p.optional('IamRoleBoundaryArn', 'Permissions boundary of all roles', PATTERNS.arn),
    },
    applicationArn: p.optional('AppRegistryApplicationArn', 'Service Catalog AppRegistry application of the stack', PATTERNS.arn),
  };
}

/** Shows the stack under its application; arn:…:/applications/<id>. */
export function applicationOf(stack: Stack, applicationArn: string): void {
  const wanted = not('HasApplication', equal('HasNoApplication', applicationArn, ''));
  when(stack, wanted, () => [
    new CfnResourceAssociation(stack, 'Application', {
      application: Fn.select(2, Fn.split('/', applicationArn)),
      resource: stack.stackId,
      resourceType: 'CFN_STACK',
    }),
  ]);
}

