/** The first boot's script of an ECS host: values and files first, then host/boot.sh. At most 16 KiB, EC2's limit. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Fn, Token } from 'aws-cdk-lib';

/** Where this package's own files are, from `build/lib`. */
const PACKAGE = join(__dirname, '..', '..');
const SECCOMP = join(PACKAGE, '..', 'container', 'seccomp.json');

/** EC2's limit, before base64. What CloudFormation fills in is longer than its placeholder: half is left for it. */
const USER_DATA_BYTES_MAX = 16384;
const FIXED_BYTES_MAX = 14336;

export interface UserDataProps {
  /** Variables of host/boot.sh and host/millrun-host, `MILLRUN_…`. */
  host: Record<string, string>;
  /** The engine's own variables, for emptying its journal; absent without a journal. */
  engine?: Record<string, string>;
}

export function userData(props: UserDataProps): string {
  const parts = [
    '#!/bin/bash\nset -euo pipefail\nmkdir -p /etc/millrun\nchmod 700 /etc/millrun\n',
    file('/etc/millrun/host.env', quoted(props.host)),
    file('/etc/millrun/seccomp.b64', `${seccomp()}\n`),
  ];
  if (props.engine) {
    parts.push(file('/etc/millrun/engine.env', plain(props.engine)));
    parts.push(file('/usr/local/sbin/millrun-host', read('millrun-host')));
  }
  parts.push(file('/etc/millrun/boot.sh', read('boot.sh')), 'exec bash /etc/millrun/boot.sh\n');
  const text = parts.join('');
  const fixed = Buffer.byteLength(text);
  if (fixed > (Token.isUnresolved(text) ? FIXED_BYTES_MAX : USER_DATA_BYTES_MAX)) {
    throw new Error(`user data has ${fixed} bytes; EC2 takes ${USER_DATA_BYTES_MAX}`);
  }
  return Fn.base64(text);
}

function read(name: string): string {
  return readFileSync(join(PACKAGE, 'host', name), 'utf8');
}

/** Docker's profile and io_uring, small enough to travel here. */
function seccomp(): string {
  const compact = JSON.stringify(JSON.parse(readFileSync(SECCOMP, 'utf8')));
  return gzipSync(compact, { level: 9 }).toString('base64');
}

function file(path: string, content: string): string {
  return `cat >${path} <<'MILLRUN-FILE'\n${content}MILLRUN-FILE\n`;
}

/** Read by a shell. */
function quoted(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join('');
}

/** Read by `docker run --env-file`, which knows no quotes. */
function plain(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
