/** The console templates, synthesized once, and deployments of them with given parameters. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ConnectorStack } from '../lib/console/connector-stack';
import { ConsoleStack } from '../lib/console/stack';
import { Deployed, Stack, Template } from './cloudformation';

function synthesize(): string {
  const outdir = mkdtempSync(join(tmpdir(), 'millrun-cdk-'));
  const app = new App({ outdir });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  new ConsoleStack(app, 'millrun');
  new ConnectorStack(app, 'millrun-kafka-to-s3');
  app.synth();
  return outdir;
}

/** Directory of the templates. Where a test fails it stays, to be looked at. */
export const OUTDIR = synthesize();
process.on('exit', (code) => {
  if (code === 0) {
    rmSync(OUTDIR, { recursive: true });
  }
});

function read(name: string): Template {
  return JSON.parse(readFileSync(join(OUTDIR, name), 'utf8')) as Template;
}

/** By file name. */
export const TEMPLATES: Record<string, Template> = Object.fromEntries(
  readdirSync(OUTDIR)
    .filter((name) => name.endsWith('.template.json'))
    .map((name) => [name, read(name)]),
);

export const PARENT = read('millrun.template.json');
export const CONNECTOR = read('millrun-kafka-to-s3.template.json');

export type Given = Record<string, string | number>;

/** What every deployment must say. */
export const BASE: Given = {
  ProjectId: 'shop',
  VpcId: 'vpc-0a',
  PublicSubnetIds: 'subnet-0a,subnet-0b',
  PrivateSubnetIds: 'subnet-0c,subnet-0d',
  Image: '111122223333.dkr.ecr.eu-central-1.amazonaws.com/millrun@sha256:00',
  AppIds: 'web,phone',
};

/** What each choice of sink must say as well. */
export const SINK_PARAMETERS: Record<string, Given> = {
  S3: { SinkType: 'S3', S3DataBucket: 'events' },
  MSK: { SinkType: 'MSK', KafkaBrokers: 'b-1.example.com:9092,b-2.example.com:9092', KafkaTopic: 'events' },
  KDS: { SinkType: 'KDS', KinesisDataS3Bucket: 'events', KinesisToS3CodeBucket: 'code', KinesisToS3CodeKey: 'kinesis-to-s3.zip' },
};

/** The template of a nested stack's resource: CDK writes its file's name into the metadata. */
function nestedTemplate(logicalId: string): Template {
  const name = logicalId.replace(/NestedStack.*$/, '');
  const file = Object.keys(TEMPLATES).find((file) => file.startsWith(`millrun${name}`) && file.includes('.nested.'));
  const template = file === undefined ? undefined : TEMPLATES[file];
  if (!template) {
    throw new Error(`no template for ${logicalId}`);
  }
  return template;
}

export function deploy(given: Given, pseudo?: Record<string, string>): Deployed {
  return new Stack(PARENT, { ...BASE, ...given }, pseudo).deploy(nestedTemplate);
}

/** Why CloudFormation would refuse these parameters. */
export function refusals(given: Given): string[] {
  return new Stack(PARENT, { ...BASE, ...given }).refusals();
}

/** Of a type, by logical id. */
export function ofType(stack: Deployed, type: string): Record<string, any> {
  return Object.fromEntries(Object.entries(stack.resources).filter(([, { Type }]) => Type === type));
}

/** The one nested stack whose logical id has this in it. */
export function nested(stack: Deployed, part: string): Deployed {
  const found = Object.entries(stack.nested).filter(([id]) => id.includes(part));
  if (found.length !== 1 || !found[0]) {
    throw new Error(`${found.length} nested stacks have ${part} in their name`);
  }
  return found[0][1];
}

/** The fleet: the only one that there is. */
export function fleet(stack: Deployed): Deployed {
  return nested(stack, 'Fleet');
}

/** Variables of the engine's container. */
export function environment(stack: Deployed): Record<string, string> {
  const [task] = Object.values(ofType(fleet(stack), 'AWS::ECS::TaskDefinition'));
  const list = task.Properties.ContainerDefinitions[0].Environment as Array<{ Name: string; Value: string }>;
  return Object.fromEntries(list.map(({ Name, Value }) => [Name, Value]));
}
