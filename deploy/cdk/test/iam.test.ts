/** Every policy statement of every template, those inside conditions too: who may do how much, and why so much. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TEMPLATES } from './console';

interface Statement {
  Effect: 'Allow' | 'Deny';
  Sid?: string;
  Action: string | string[];
  Resource?: unknown;
  Principal?: unknown;
  Condition?: unknown;
}

/** `file resource Sid` and the statement. */
type Placed = [string, Statement];

/** Resources with a wildcard that are meant, and why none is narrower. */
const WILDCARDS: Record<string, { resource: RegExp; condition?: true; why: string }> = {
  RegistryToken: { resource: /^\*$/, why: 'AWS knows no resource of ecr:GetAuthorizationToken' },
  FindEndpoint: { resource: /^\*$/, why: 'AWS knows no resource of ecs:DiscoverPollEndpoint' },
  FindOwnGroup: { resource: /^\*$/, why: 'AWS knows no resource of autoscaling:Describe…' },
  PullImage: { resource: /:ecr:<AWS::Region>:\*:repository\/\*$/, why: 'the image is a parameter, often of a shared account' },
  WorkForCluster: { resource: /:container-instance\/\*$/, condition: true, why: 'ids come with the hosts; the cluster narrows them' },
  TagInstances: { resource: /:container-instance\/\*$/, condition: true, why: 'only while an instance registers' },
  KeepJournalVolume: { resource: /:instance\/\*$/, condition: true, why: 'ids come with the hosts; the tag narrows them' },
  KeepJournalVolumeItself: { resource: /:volume\/\*$/, condition: true, why: 'ids come with the hosts; the tag narrows them' },
  LeaveAfterDraining: { resource: /:autoScalingGroup:\*:autoScalingGroupName\/\*$/, condition: true, why: 'the group needs the role first; the tag narrows it' },
  WriteEvents: { resource: /(:s3:::<[^>]+>\/<[^>]+>\*|:topic\/<[^>]+>\/\*\/<[^>]+>)$/, why: "objects below the prefix; the UUID in MSK's ARNs" },
  WriteFailures: { resource: /\/aws\/lambda\/\*$/, why: 'Lambda names the objects of its on-failure destination itself' },
  KafkaConnect: { resource: /:cluster\/<[^>]+>\/\*$/, why: "the UUID in MSK's ARNs" },
  ReadEvents: { resource: /:topic\/<[^>]+>\/\*\/<[^>]+>$/, why: "the UUID in MSK's ARNs" },
  WriteDeadLetters: { resource: /:topic\/<[^>]+>\/\*\/<[^>]+>\.dead-letters$/, why: "the UUID in MSK's ARNs" },
  ConnectorState: { resource: /:topic\/<[^>]+>\/\*\/__amazon_msk_connect_\*$/, why: 'MSK Connect names its topics itself' },
  ConsumerGroups: { resource: /:group\/<[^>]+>\/\*\/(__amazon_msk_connect_\*|<[^>]+>-kafka-to-s3)$/, why: 'MSK Connect names its groups itself' },
};

/** What only Kafka and Lambda ask of their callers, and no Sid's other sink. */
const READS_ALLOWED = /^(kinesis|kafka-cluster|s3|ecr|ecs|autoscaling|logs|secretsmanager|kms|ssm|sns|sqs|lambda|ec2|xray|kafkaconnect):/;

function* statements(value: unknown): Generator<Statement> {
  if (Array.isArray(value)) {
    for (const inner of value) {
      yield* statements(inner);
    }
  } else if (typeof value === 'object' && value !== null) {
    if ('Effect' in value && 'Action' in value) {
      yield value as Statement;
    }
    for (const inner of Object.values(value)) {
      yield* statements(inner);
    }
  }
}

const ALL: Placed[] = Object.entries(TEMPLATES).flatMap(([file, { Resources }]) =>
  Object.entries(Resources).flatMap(([id, resource]) =>
    [...statements(resource)].map((statement): Placed => [`${file} ${id} ${statement.Sid ?? '-'}`, statement]),
  ),
);

/** `<Name>` in place of a reference. */
function flat(value: any): string {
  if (typeof value === 'string') {
    return value;
  }
  if (value['Fn::Join']) {
    return value['Fn::Join'][1].map(flat).join(value['Fn::Join'][0]);
  }
  const choice = value['Fn::If'];
  return choice ? `<${choice[0]}>` : `<${value.Ref ?? [value['Fn::GetAtt']].flat().join('.')}>`;
}

const resources = ({ Resource }: Statement) => (Resource === undefined ? [] : [Resource].flat().map(flat));
const allowed = ALL.filter(([, { Effect }]) => Effect === 'Allow');
const wild = allowed.flatMap(([place, statement]) =>
  resources(statement)
    .filter((resource) => resource.includes('*'))
    .map((resource): [string, Statement, string] => [place, statement, resource]),
);

describe('policies', () => {
  test('there are some, of every fleet', () => {
    assert.ok(allowed.length > 60, `${allowed.length}`);
  });

  test('nothing is allowed by a wildcard in an action, or by leaving actions out', () => {
    for (const [place, { Action }] of allowed) {
      for (const action of [Action].flat()) {
        assert.match(action, /^[a-z0-9-]+:[A-Za-z]+$/, place);
        assert.ok(action.startsWith('sts:AssumeRole') || READS_ALLOWED.test(action), `${place}: ${action}`);
      }
    }
    for (const template of Object.values(TEMPLATES)) {
      assert.doesNotMatch(JSON.stringify(template), /"Not(Action|Resource|Principal)"/);
    }
  });

  test('every statement has a name', () => {
    const nameless = ALL.filter(([, { Sid, Action }]) => Sid === undefined && ![Action].flat().includes('sts:AssumeRole'));
    assert.deepEqual(nameless.map(([place]) => place), []);
  });

  test('every wildcard in a resource is a known one, and narrowed as the list says', () => {
    for (const [place, { Sid, Condition }, resource] of wild) {
      const known = WILDCARDS[Sid ?? ''];
      assert.ok(known, `${place}: ${resource}`);
      assert.match(resource, known.resource, place);
      assert.equal(Condition !== undefined, known.condition === true, place);
    }
  });

  test('the list knows nothing that is gone', () => {
    const used = new Set(wild.map(([, { Sid }]) => Sid));
    assert.deepEqual(Object.keys(WILDCARDS).filter((sid) => !used.has(sid)), []);
  });

  test('objects are written below a prefix, never anywhere in a bucket', () => {
    const puts = allowed.filter(([, { Action }]) => [Action].flat().includes('s3:PutObject'));
    assert.ok(puts.length >= 4);
    for (const [place, statement] of puts) {
      for (const resource of resources(statement)) {
        assert.match(resource, /\/(<[^>]*Prefix[^>]*>|aws\/lambda\/)\*$|\/<[^>]*Prefix[^>]*>\*$/, place);
      }
    }
  });

  test('nobody is let in but AWS services of this account', () => {
    for (const [place, { Principal, Condition }] of allowed) {
      if (Principal !== undefined) {
        assert.deepEqual(Object.keys(Principal as object), ['Service'], place);
        const instance = (Principal as { Service: string }).Service.startsWith('ec2.');
        assert.equal(JSON.stringify(Condition ?? '').includes('aws:SourceAccount'), !instance, place);
      }
    }
  });
});
