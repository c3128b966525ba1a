/** Every combination of choices that the console offers: what is made, and that nothing refers to what is not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deployed, PSEUDO } from './cloudformation';
import { Given, SINK_PARAMETERS, deploy, environment, fleet, ofType, refusals } from './console';

/** All combinations of one of each list. */
function product(...lists: Given[][]): Given[] {
  return lists.reduce<Given[]>((sofar, list) => sofar.flatMap((left) => list.map((right) => ({ ...left, ...right }))), [{}]);
}

const COMPUTES: Given[] = [{ EcsInfraType: 'EC2' }, { EcsInfraType: 'EC2', InstanceType: 'c7g.xlarge', WarmPoolSize: 2 }, { EcsInfraType: 'FARGATE' }];

const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:oidc-AbCdEf';
const CERTIFICATE = 'arn:aws:acm:eu-central-1:111122223333:certificate/0a-1b';
const HTTPS: Given = { Protocol: 'HTTPS', DomainName: 'in.example.com', ACMCertificateArn: CERTIFICATE };

const KAFKAS = product(
  [SINK_PARAMETERS.MSK!],
  [
    { KafkaAuthentication: 'NONE' },
    { KafkaAuthentication: 'TLS' },
    { KafkaAuthentication: 'SCRAM', KafkaSecretArn: SECRET },
    { KafkaAuthentication: 'SCRAM', KafkaSecretArn: SECRET, KafkaSecretKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/1' },
    { KafkaAuthentication: 'IAM', MskClusterName: 'events' },
  ],
  [{}, { MskSecurityGroupId: 'sg-0f' }],
  [{}, { KafkaTopicClusterArn: 'arn:aws:kafka:eu-central-1:111122223333:cluster/events/1' }],
);
const SINKS: Given[] = [
  SINK_PARAMETERS.S3!,
  { SinkType: 'S3', CreateDataBucket: 'Yes' },
  { SinkType: 'S3', CreateDataBucket: 'Yes', DataTransitionDays: 30, DataExpiryDays: 400 },
  ...product([SINK_PARAMETERS.KDS!], [{ KinesisStreamMode: 'ON_DEMAND' }, { KinesisStreamMode: 'PROVISIONED' }]),
  ...KAFKAS,
];
const DOORS: Given[] = [
  { Protocol: 'HTTP' },
  { Protocol: 'HTTP', DomainName: 'in.example.com' },
  HTTPS,
  { ...HTTPS, EnableAuthentication: 'Yes', AuthenticationSecretArn: SECRET },
];
const OTHERS = product(
  [{}, { EnableApplicationLoadBalancerAccessLog: 'Yes', LogS3Bucket: 'logs' }],
  [{}, { EnableGlobalAccelerator: 'Yes', CreateVpcEndpoints: 'Yes', VpcCidr: '10.0.0.0/16', PrivateRouteTableIds: 'rtb-0a' }],
  [{}, { ClickStreamSDK: 'No', AppIds: '' }, { AppIds: '' }],
  [{}, { IamRolePrefix: 'team', IamRoleBoundaryArn: 'arn:aws:iam::111122223333:policy/b', AlarmEmail: 'a@example.com', AppRegistryApplicationArn: 'arn:aws:servicecatalog:eu-central-1:111122223333:/applications/1' }],
);

const ALL = product(COMPUTES, SINKS, DOORS, OTHERS);

type Check = (given: Given, stack: Deployed) => void;

const RULE = 'AWS::ElasticLoadBalancingV2::ListenerRule';

/** What clients talk to: it must be the same whatever is chosen. */
const LASTING = ['AWS::ElasticLoadBalancingV2::LoadBalancer', 'AWS::ElasticLoadBalancingV2::TargetGroup', 'AWS::EC2::SecurityGroup'];
const lasting = (stack: Deployed) => LASTING.map((type) => Object.keys(ofType(stack, type)));
const FIRST = lasting(deploy(ALL[0]!));

const CHECKS: Record<string, Check> = {
  'none is refused': (given) => assert.deepEqual(refusals(given), []),

  'no reference has no target': (_, stack) => assert.deepEqual(stack.dangling, []),

  'there is one fleet, and it is the chosen one': (given, stack) => {
    const fleets = Object.keys(stack.nested).filter((id) => id.includes('Fleet'));
    assert.equal(fleets.length, 1);
    assert.match(fleets[0]!, new RegExp(`Fleet${given.EcsInfraType}${given.SinkType}`));
  },

  'there is a stream exactly with the Kinesis sink, and it stays when its stack goes': (given, stack) => {
    const streams = Object.values(stack.nested).flatMap((inner) => Object.values(ofType(inner, 'AWS::Kinesis::Stream')));
    assert.equal(streams.length, given.SinkType === 'KDS' ? 1 : 0);
    for (const stream of streams) {
      assert.equal(stream.DeletionPolicy, 'Retain');
      assert.equal(stream.UpdateReplacePolicy, 'Retain');
      assert.equal('ShardCount' in stream.Properties, given.KinesisStreamMode === 'PROVISIONED');
    }
  },

  'what clients talk to is the same in all': (_, stack) => {
    assert.deepEqual(FIRST.map((list) => list.length), [1, 1, 2]);
    assert.deepEqual(lasting(stack), FIRST);
  },

  'every rule that reaches an engine by HTTPS asks OIDC first when authentication is on': (given, stack) => {
    const listeners = Object.entries(ofType(stack, 'AWS::ElasticLoadBalancingV2::Listener'));
    const https = listeners.find(([, { Properties }]) => Properties.Port === 443)?.[0];
    assert.equal(https !== undefined, given.Protocol === 'HTTPS');
    for (const { Properties } of Object.values(ofType(stack, RULE))) {
      const types = Properties.Actions.map(({ Type }: { Type: string }) => Type);
      if (types.includes('forward')) {
        const guarded = given.EnableAuthentication === 'Yes' && Properties.ListenerArn === `<${https}>`;
        assert.deepEqual(types, guarded ? ['authenticate-oidc', 'forward'] : ['forward']);
      }
    }
  },

  'with HTTPS an engine answers what comes by HTTP with 308': (given, stack) => {
    assert.equal(environment(stack).MILLRUN_SERVER__REDIRECT_TO_HTTPS, given.Protocol === 'HTTPS' ? 'true' : 'false');
  },

  'every listener refuses what no rule matches': (_, stack) => {
    for (const { Properties } of Object.values(ofType(stack, 'AWS::ElasticLoadBalancingV2::Listener'))) {
      assert.equal(Properties.DefaultActions[0].FixedResponseConfig.StatusCode, '403');
    }
  },

  'every rule is for one exact path, but for the one that refuses everything': (given, stack) => {
    const paths = Object.values(ofType(stack, RULE)).map(({ Properties }) => Properties.Conditions[0].PathPatternConfig.Values[0]);
    const closed = given.ClickStreamSDK !== 'No' && given.AppIds === '';
    const expected = ['/collect', '/ping', ...(closed ? ['/*'] : [])];
    const https = given.Protocol === 'HTTPS' ? [...expected, ...(given.EnableAuthentication === 'Yes' ? ['/login'] : [])] : [];
    assert.deepEqual(paths.sort(), [...expected, ...https].sort());
  },

  'no two rules of a listener have one priority': (_, stack) => {
    const places = Object.values(ofType(stack, RULE)).map(({ Properties }) => `${Properties.ListenerArn} ${Properties.Priority}`);
    assert.equal(new Set(places).size, places.length);
  },

  'requests must name the domain where there is one': (given, stack) => {
    for (const { Properties } of Object.values(ofType(stack, RULE))) {
      const hosts = Properties.Conditions.filter(({ Field }: { Field: string }) => Field === 'host-header');
      assert.deepEqual(hosts.map((host: any) => host.HostHeaderConfig.Values), given.DomainName ? [[given.DomainName]] : []);
    }
  },

  'every role has the boundary and the prefix where they are asked for': (given, stack) => {
    const roles = [stack, ...Object.values(stack.nested)].flatMap((inner) => Object.values(ofType(inner, 'AWS::IAM::Role')));
    assert.ok(roles.length >= 2);
    for (const { Properties } of roles) {
      assert.equal(Properties.PermissionsBoundary, given.IamRoleBoundaryArn);
      assert.equal(Properties.RoleName?.startsWith('team-'), given.IamRolePrefix ? true : undefined);
      assert.ok((Properties.RoleName ?? '').length <= 64, Properties.RoleName);
    }
  },

  'the engine is told of its sink and of no other': (given, stack) => {
    const told = environment(stack);
    const named = { S3: 'AWS_S3_BUCKET', MSK: 'AWS_MSK_BROKERS', KDS: 'AWS_KINESIS_STREAM_NAME' };
    for (const [sink, variable] of Object.entries(named)) {
      assert.equal(told[variable] !== '__NOT_SET__', given.SinkType === sink, variable);
    }
    assert.equal(told.MILLRUN_ROUTE__EVENTS__ACK, given.SinkType === 'S3' ? 'journaled' : 'delivered');
  },

  'a deployment never halves the capacity, and goes back by itself': (given, stack) => {
    const [service] = Object.values(ofType(fleet(stack), 'AWS::ECS::Service')).map(({ Properties }) => Properties);
    assert.equal(service.CapacityProviderStrategy[0].CapacityProvider === 'FARGATE', given.EcsInfraType === 'FARGATE');
    assert.equal(service.DeploymentConfiguration.MinimumHealthyPercent, 100);
    assert.deepEqual(service.DeploymentConfiguration.DeploymentCircuitBreaker, { Enable: true, Rollback: true });
    assert.equal(service.DesiredCount, undefined, 'an update would set a scaled fleet back');
  },
};

/** Every deployment is made once and shown to all checks; each remembers the first that it does not like. */
function failures(): Map<string, Error> {
  const found = new Map<string, Error>();
  for (const given of ALL) {
    const stack = deploy(given);
    for (const [name, check] of Object.entries(CHECKS)) {
      try {
        check(given, stack);
      } catch (error) {
        if (!found.has(name)) {
          found.set(name, new Error(JSON.stringify(given), { cause: error }));
        }
      }
    }
  }
  return found;
}

describe(`of ${ALL.length} combinations`, () => {
  const found = failures();
  for (const name of Object.keys(CHECKS)) {
    test(name, () => {
      const failure = found.get(name);
      if (failure) {
        throw failure;
      }
    });
  }
});

describe('parameters that do not go together are refused', () => {
  const cases: Array<[string, Given, RegExp]> = [
    ['S3 without a bucket', { SinkType: 'S3' }, /S3DataBucket/],
    ['S3 without a prefix', { ...SINK_PARAMETERS.S3, S3DataPrefix: '' }, /S3DataPrefix/],
    ['Kinesis without a bucket', { ...SINK_PARAMETERS.KDS, KinesisDataS3Bucket: '' }, /KinesisDataS3Bucket/],
    ['Kinesis without a function', { ...SINK_PARAMETERS.KDS, KinesisToS3CodeKey: '' }, /KinesisToS3CodeKey/],
    ['Kafka without brokers', { ...SINK_PARAMETERS.MSK, KafkaBrokers: '' }, /KafkaBrokers/],
    ['Kafka without a topic', { ...SINK_PARAMETERS.MSK, KafkaTopic: '' }, /KafkaTopic/],
    ['SCRAM without a secret', { ...SINK_PARAMETERS.MSK, KafkaAuthentication: 'SCRAM' }, /KafkaSecretArn/],
    ['IAM without a cluster', { ...SINK_PARAMETERS.MSK, KafkaAuthentication: 'IAM' }, /MskClusterName/],
    ['HTTPS without a certificate', { ...SINK_PARAMETERS.S3, Protocol: 'HTTPS', DomainName: 'in.example.com' }, /ACMCertificateArn/],
    ['HTTPS without a domain', { ...SINK_PARAMETERS.S3, Protocol: 'HTTPS', ACMCertificateArn: CERTIFICATE }, /DomainName/],
    ['authentication by HTTP', { ...SINK_PARAMETERS.S3, EnableAuthentication: 'Yes', AuthenticationSecretArn: SECRET }, /Protocol=HTTPS/],
    ['authentication without a secret', { ...SINK_PARAMETERS.S3, ...HTTPS, EnableAuthentication: 'Yes' }, /AuthenticationSecretArn/],
    ['access logs without a bucket', { ...SINK_PARAMETERS.S3, EnableApplicationLoadBalancerAccessLog: 'Yes' }, /LogS3Bucket/],
    ['endpoints without route tables', { ...SINK_PARAMETERS.S3, CreateVpcEndpoints: 'Yes', VpcCidr: '10.0.0.0/16' }, /PrivateRouteTableIds/],
  ];
  for (const [name, given, reason] of cases) {
    test(name, () => assert.match(refusals(given).join('\n'), reason));
  }
});

describe('where it is deployed', () => {
  test("China's regions have no accelerator", () => {
    for (const region of ['cn-north-1', 'cn-northwest-1']) {
      const stack = deploy({ ...SINK_PARAMETERS.S3, EnableGlobalAccelerator: 'Yes' }, { ...PSEUDO, 'AWS::Region': region });
      assert.deepEqual(ofType(stack, 'AWS::GlobalAccelerator::Accelerator'), {});
      assert.match(stack.outputs.IngestionServerDNS.Value, /LoadBalancer/);
    }
    const stack = deploy({ ...SINK_PARAMETERS.S3, EnableGlobalAccelerator: 'Yes' });
    assert.match(stack.outputs.IngestionServerDNS.Value, /Accelerator/);
  });

  test('the load balancer is internal where it is given the private subnets', () => {
    const scheme = (given: Given) => Object.values(ofType(deploy({ ...SINK_PARAMETERS.S3, ...given }), 'AWS::ElasticLoadBalancingV2::LoadBalancer'))[0].Properties.Scheme;
    assert.equal(scheme({}), 'internet-facing');
    assert.equal(scheme({ PublicSubnetIds: 'subnet-0c,subnet-0d' }), 'internal');
  });
});
