/**
 * cdk-nag over the console templates. Synthesis itself throws at a finding that nobody accepted (test/console.ts has the
 * pack); here acceptance is recorded instead of applied, so that what was accepted is held against what is found.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { App, Validations } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ConnectorStack } from '../lib/console/connector-stack';
import { ConsoleStack } from '../lib/console/stack';
import { OUTDIR } from './console';

interface Accepted {
  path: string;
  id: string;
  reason: string;
}

interface Found {
  id: string;
  path: string;
}

/** Findings without any acceptance, and what would have been accepted. */
function unaccepted(): { found: Found[]; accepted: Accepted[] } {
  const outdir = mkdtempSync(join(tmpdir(), 'millrun-nag-'));
  const accepted: Accepted[] = [];
  const of = Validations.of;
  Validations.of = (scope: IConstruct) => {
    const validations = of(scope);
    validations.acknowledge = (...acknowledgments) => {
      accepted.push(...acknowledgments.map(({ id, reason }) => ({ path: scope.node.path, id, reason: reason ?? '' })));
    };
    return validations;
  };
  // The report goes to standard output as well, which is this test's.
  const { error } = console;
  console.error = () => undefined;
  try {
    const app = new App({ outdir });
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    new ConsoleStack(app, 'millrun');
    new ConnectorStack(app, 'millrun-kafka-to-s3');
    assert.throws(() => app.synth(), /Validation failed/);
  } finally {
    Validations.of = of;
    console.error = error;
  }
  const report = JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8')) as {
    pluginReports: Array<{
      pluginName: string;
      violations: Array<{ ruleName: string; violatingConstructs: Array<{ constructPath: string }> }>;
    }>;
  };
  rmSync(outdir, { recursive: true });
  const found = report.pluginReports.flatMap(({ pluginName, violations }) =>
    violations.flatMap(({ ruleName, violatingConstructs }) =>
      violatingConstructs.map(({ constructPath }) => ({
        id: pluginName === 'AwsSolutions' ? ruleName : 'CloudFormation-Validate::' + ruleName,
        path: constructPath,
      })),
    ),
  );
  return { found, accepted };
}

/** An acceptance covers its construct and what is below it, and a rule with all of its findings. */
function covers(accepted: Accepted, found: Found): boolean {
  const here = found.path === accepted.path || found.path.startsWith(`${accepted.path}/`);
  return here && (found.id === accepted.id || found.id.startsWith(`${accepted.id}[`));
}

describe('cdk-nag', () => {
  const { found, accepted } = unaccepted();

  test('finds something when nothing is accepted, so it does run', () => {
    assert.ok(found.some(({ id }) => id.startsWith('AwsSolutions-')), JSON.stringify(found));
  });

  test('finds nothing that was not accepted', () => {
    assert.deepEqual(found.filter((one) => !accepted.some((other) => covers(other, one))), []);
  });

  test('finds all that was accepted: no acceptance is left over', () => {
    const unused = accepted.filter((one) => !found.some((other) => covers(one, other)));
    assert.deepEqual(unused, []);
  });

  test('every acceptance has a reason of its own', () => {
    for (const { id, reason } of accepted) {
      assert.match(reason, /^[A-Z].{24,}\.$/, id);
    }
  });

  test('what is accepted in the templates does not throw', () => {
    const report = readFileSync(join(OUTDIR, 'validation-report.json'), 'utf8');
    assert.ok(!report.includes('"conclusion": "failure"'), OUTDIR);
  });
});
