/**
 * host/millrun-host, round by round: the instance's metadata is a server of this test, `docker` and `aws` are scripts that note
 * how they were called.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Server, createServer } from 'node:http';
import { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const SCRIPT = join(__dirname, '../../host/millrun-host');

interface Host {
  /** What Auto Scaling wants of it. */
  target: string;
  /** Whether its task's container runs still. */
  engineRuns?: boolean;
  /** Exit code of `millrun journal drain`. */
  drain?: number;
  /** Whether AWS's API answers. */
  aws?: boolean;
}

let dir = '';
let server: Server;
let target = '';

before(async () => {
  server = createServer((request, response) => {
    const token = request.headers['x-aws-ec2-metadata-token'];
    if (request.method === 'PUT' && request.url === '/api/token') {
      response.end('secret');
    } else if (token !== 'secret') {
      response.writeHead(401).end();
    } else if (request.url === '/meta-data/instance-id') {
      response.end('i-0a');
    } else if (request.url === '/meta-data/autoscaling/target-lifecycle-state') {
      response.end(target);
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
});

after(() => {
  server.close();
});

/** A host that has not run a round yet. */
function host(): void {
  dir = mkdtempSync(join(tmpdir(), 'millrun-host-'));
  mkdirSync(join(dir, 'bin'));
  const script = (name: string, text: string) => {
    writeFileSync(join(dir, 'bin', name), `#!/bin/bash\necho "${name} $*" >>'${dir}/calls'\n${text}`);
    chmodSync(join(dir, 'bin', name), 0o755);
  };
  script('docker', `case $1 in ps) [[ -e '${dir}/runs' ]] && echo c0ffee; exit 0 ;; run) exit "$(cat '${dir}/drain')" ;; esac\n`);
  script('aws', `[[ -e '${dir}/down' ]] && exit 255\ncase "$*" in *describe-auto-scaling-instances*) echo fleet ;; esac\n`);
  const values = {
    MILLRUN_REGION: 'eu-central-1',
    MILLRUN_IMAGE: 'millrun:1',
    MILLRUN_STATE_DIR: '/var/lib/millrun',
    MILLRUN_JOURNAL_DEVICE: '/dev/sdf',
    MILLRUN_HOOK: 'millrun-journal',
  };
  writeFileSync(join(dir, 'host.env'), Object.entries(values).map(([name, value]) => `${name}='${value}'\n`).join(''));
}

/** Runs one round; the calls that it made, in order. */
async function round({ target: wanted, engineRuns = false, drain = 0, aws = true }: Host): Promise<{ calls: string[]; said: string }> {
  target = wanted;
  for (const [name, there] of [['runs', engineRuns], ['down', !aws]] as const) {
    if (there) {
      writeFileSync(join(dir, name), '');
    } else {
      rmSync(join(dir, name), { force: true });
    }
  }
  writeFileSync(join(dir, 'drain'), String(drain));
  writeFileSync(join(dir, 'calls'), '');
  const { port } = server.address() as AddressInfo;
  const child = spawn('bash', [SCRIPT, '--once'], {
    env: {
      PATH: `${join(dir, 'bin')}:${process.env.PATH}`,
      MILLRUN_HOST_CONF: dir,
      MILLRUN_HOST_MARKS: join(dir, 'marks'),
      MILLRUN_IMDS: `http://127.0.0.1:${port}`,
      MILLRUN_TASK_WAIT_S: '5',
      MILLRUN_POLL_S: '0',
    },
  });
  let said = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (said += text));
  await new Promise((ended) => child.on('close', ended));
  const calls = readFileSync(join(dir, 'calls'), 'utf8').split('\n').filter((call) => call !== '' && !call.startsWith('docker ps'));
  return { calls, said };
}

const KEPT = /^aws ec2 modify-instance-attribute .*--instance-id i-0a .*"DeviceName":"\/dev\/sdf","Ebs":\{"DeleteOnTermination":false/;
const GOES = /^aws ec2 modify-instance-attribute .*"DeleteOnTermination":true/;
const DRAIN = /^docker run .*--env-file .*engine\.env .*millrun:1 journal drain --timeout-s \d+$/;
const ASK = /^aws autoscaling describe-auto-scaling-instances/;
const GO_ON = /^aws autoscaling complete-lifecycle-action .*--lifecycle-hook-name millrun-journal --auto-scaling-group-name fleet --instance-id i-0a --lifecycle-action-result CONTINUE$/;

function expectCalls(calls: string[], expected: RegExp[]): void {
  assert.equal(calls.length, expected.length, calls.join('\n'));
  expected.forEach((call, place) => assert.match(calls[place]!, call));
}

describe('a host with a journal', () => {
  test('keeps its volume once it serves, and asks for that once', async () => {
    host();
    expectCalls((await round({ target: 'InService' })).calls, [KEPT]);
    expectCalls((await round({ target: 'InService' })).calls, []);
    rmSync(dir, { recursive: true });
  });

  test('asks again where AWS did not answer', async () => {
    host();
    expectCalls((await round({ target: 'InService', aws: false })).calls, [KEPT]);
    expectCalls((await round({ target: 'InService' })).calls, [KEPT]);
    rmSync(dir, { recursive: true });
  });

  test('of the warm pool does nothing', async () => {
    host();
    expectCalls((await round({ target: 'Warmed:Stopped' })).calls, []);
    rmSync(dir, { recursive: true });
  });

  test('that goes empties its journal, lets the volume go, and goes once', async () => {
    host();
    expectCalls((await round({ target: 'Terminated' })).calls, [DRAIN, GOES, ASK, GO_ON]);
    expectCalls((await round({ target: 'Terminated' })).calls, []);
    rmSync(dir, { recursive: true });
  });

  test('whose journal can not be emptied goes without its volume', async () => {
    host();
    const { calls, said } = await round({ target: 'Terminated', drain: 1 });
    expectCalls(calls, [DRAIN, ASK, GO_ON]);
    assert.match(said, /its volume stays/);
    rmSync(dir, { recursive: true });
  });

  test('never gives one journal two processes: with an engine running it is left alone', async () => {
    host();
    const { calls, said } = await round({ target: 'Terminated', engineRuns: true });
    expectCalls(calls, [ASK, GO_ON]);
    assert.match(said, /an engine still runs/);
    rmSync(dir, { recursive: true });
  });

  test('tries to go on again where AWS did not answer', async () => {
    host();
    await round({ target: 'Terminated', aws: false });
    assert.equal(existsSync(join(dir, 'marks/left')), false);
    const { calls } = await round({ target: 'Terminated' });
    assert.match(calls.at(-1)!, GO_ON);
    rmSync(dir, { recursive: true });
  });

  test('both scripts are ones that bash can read', async () => {
    for (const name of ['millrun-host', 'boot.sh']) {
      const child = spawn('bash', ['-n', join(__dirname, '../../host', name)]);
      assert.equal(await new Promise((ended) => child.on('close', ended)), 0, name);
    }
  });
});
