/** CloudFormation's own rules: cfn-lint over every template, and the service's limits. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { OUTDIR, TEMPLATES } from './console';

const TOOLS = process.env.MILLRUN_TOOLS ?? resolve(__dirname, '../../../../.tools');
const LINTER = join(TOOLS, 'deploy/python/bin/cfn-lint');

/** What it has to say, a line for each finding: informational ones too. */
function lint(files: string[]): string[] {
  assert.ok(existsSync(LINTER), `${LINTER} is missing: \`make setup-deploy\` installs it`);
  const { status, stdout, stderr } = spawnSync(LINTER, ['--format', 'parseable', '--include-checks', 'I', '--', ...files], {
    encoding: 'utf8',
  });
  assert.ok(status !== null && stderr === '', stderr);
  const lines = stdout.split('\n').filter((line) => line !== '');
  assert.equal(status === 0, lines.length === 0, stdout);
  return lines;
}

/** I1022 wants `Fn::Sub` for `Fn::Join`, which is how the CDK writes texts. */
const INTENDED = /:I1022:/;

describe('cfn-lint', () => {
  test('finds a mistake, so it does run', () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrun-lint-'));
    const file = join(dir, 'wrong.template.json');
    writeFileSync(file, JSON.stringify({ Resources: { Bucket: { Type: 'AWS::S3::Bucket', Properties: { Nam: 'x' } } } }));
    assert.match(lint([file]).join('\n'), /E3002/);
    rmSync(dir, { recursive: true });
  });

  test('finds nothing in the templates', () => {
    const files = Object.keys(TEMPLATES).map((name) => join(OUTDIR, name));
    assert.deepEqual(lint(files).filter((line) => !INTENDED.test(line)), []);
  });
});

describe("CloudFormation's limits", () => {
  for (const [name, template] of Object.entries(TEMPLATES)) {
    test(name, () => {
      // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
      assert.ok(JSON.stringify(template).length <= 1_000_000, 'bytes of a template in S3');
      assert.ok(Object.keys(template.Resources).length <= 500);
      assert.ok(Object.keys(template.Parameters ?? {}).length <= 200);
      assert.ok(Object.keys(template.Outputs ?? {}).length <= 200);
    });
  }
});
