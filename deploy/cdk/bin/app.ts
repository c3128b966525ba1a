/**
 * Synthesizes the console templates into cdk.out.
 *
 * Context (cdk.json, or `--context` where the CDK's command line runs this):
 *   assetBucket, assetPrefix   where the nested templates will be: `${AWS::Region}` may stand in the name. Without it they
 *                              are in the CDK's own bucket, and `cdk deploy` puts them there.
 *   functionPath               the built Kinesis-to-S3 function; without it, parameters name its zip
 * The same by variables: MILLRUN_ASSET_BUCKET, MILLRUN_ASSET_PREFIX, MILLRUN_FUNCTION_PATH.
 */
import { App, DefaultStackSynthesizer } from 'aws-cdk-lib';
import { ConnectorStack } from '../lib/console/connector-stack';
import { ConsoleStack } from '../lib/console/stack';

const app = new App({ outdir: process.env.CDK_OUTDIR ?? 'cdk.out' });

function setting(context: string, variable: string): string | undefined {
  return (app.node.tryGetContext(context) as string | undefined) ?? process.env[variable];
}

const bucket = setting('assetBucket', 'MILLRUN_ASSET_BUCKET');
const prefix = setting('assetPrefix', 'MILLRUN_ASSET_PREFIX') ?? 'millrun/';
const synthesizer = () =>
  new DefaultStackSynthesizer({
    // Without the CDK's bucket there is no bootstrap to check, and nobody needs its roles.
    ...(bucket ? { fileAssetsBucketName: bucket, bucketPrefix: prefix, generateBootstrapVersionRule: false } : {}),
  });

new ConsoleStack(app, 'millrun', {
  synthesizer: synthesizer(),
  functionPath: setting('functionPath', 'MILLRUN_FUNCTION_PATH'),
});
new ConnectorStack(app, 'millrun-kafka-to-s3', { synthesizer: synthesizer() });
app.synth();
