/** The variables that the tasks are given, taken by the engine itself: `millrun check` knows no key that it does not have. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';
import { Given, SINK_PARAMETERS, deploy, environment, fleet, ofType } from './console';

const ENGINE = resolve(__dirname, '../../../..', process.env.MILLRUN_BIN ?? 'target/debug/millrun');
const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:kafka-AbCdEf';

function check(variables: Record<string, string>): { status: number | null; text: string } {
  assert.ok(existsSync(ENGINE), `${ENGINE} is missing: \`cargo build -p millrun\`, or set MILLRUN_BIN`);
  const { status, stdout, stderr } = spawnSync(ENGINE, ['check'], { encoding: 'utf8', env: variables, cwd: tmpdir() });
  return { status, text: stdout + stderr };
}

/** What ECS would put into the container: a secret's value, and a name where the template refers to one. */
function inContainer(given: Given): Record<string, string> {
  const stack = deploy(given);
  const [task] = Object.values(ofType(fleet(stack), 'AWS::ECS::TaskDefinition'));
  const secrets = (task.Properties.ContainerDefinitions[0].Secrets ?? []) as Array<{ Name: string }>;
  const named = Object.entries(environment(stack)).map(([name, value]) => [name, value.replace(/<[^>]*>/g, 'name')]);
  return { ...Object.fromEntries(named), ...Object.fromEntries(secrets.map(({ Name }) => [Name, 'told-by-ecs'])) };
}

const SINKS: Record<string, Given> = {
  S3: SINK_PARAMETERS.S3!,
  'S3 with a bucket of its own': { SinkType: 'S3', CreateDataBucket: 'Yes' },
  Kinesis: SINK_PARAMETERS.KDS!,
  'Kafka by plaintext': { ...SINK_PARAMETERS.MSK, KafkaAuthentication: 'NONE' },
  'Kafka by TLS': { ...SINK_PARAMETERS.MSK, KafkaAuthentication: 'TLS' },
  'Kafka by SCRAM': { ...SINK_PARAMETERS.MSK, KafkaAuthentication: 'SCRAM', KafkaSecretArn: SECRET },
  'MSK by IAM': { ...SINK_PARAMETERS.MSK, KafkaAuthentication: 'IAM', MskClusterName: 'events' },
};

describe('the engine takes the variables of', () => {
  for (const [name, sink] of Object.entries(SINKS)) {
    for (const EcsInfraType of ['EC2', 'FARGATE']) {
      test(`${name} on ${EcsInfraType}`, () => {
        const { status, text } = check(inContainer({ ...sink, EcsInfraType }));
        assert.equal(status, 0, text);
      });
    }
  }

  test('no more than it has', () => {
    const { status, text } = check({ ...inContainer(SINK_PARAMETERS.S3!), MILLRUN_METRICS__EMFF: 'true' });
    assert.equal(status, 2, text);
    assert.match(text, /emff/i);
  });
});
