/**
 * The bucket of the events, where no other is given. It stays when the stack goes. Buckets that exist already keep the
 * rules that their owners gave them.
 */
import { Aws, CfnDeletionPolicy, Fn } from 'aws-cdk-lib';
import { CfnBucket, CfnBucketPolicy } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { accept } from './accept';
import { Switch, equal, not, optional, when } from './switch';
import { number } from './number';

export interface DataBucketProps {
  create: Switch;
  /** Days until objects move to Intelligent-Tiering, or "0": never. */
  transitionDays: string;
  /** Days until objects are deleted, or "0": never. */
  expiryDays: string;
}

export class DataBucket extends Construct {
  readonly bucket?: CfnBucket;

  constructor(scope: Construct, id: string, props: DataBucketProps) {
    super(scope, id);
    const made = when(this, props.create, () => {
      const bucket = new CfnBucket(this, 'Bucket', {
        bucketEncryption: { serverSideEncryptionConfiguration: [{ serverSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }] },
        publicAccessBlockConfiguration: {
          blockPublicAcls: true,
          blockPublicPolicy: true,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        },
        ownershipControls: { rules: [{ objectOwnership: 'BucketOwnerEnforced' }] },
        lifecycleConfiguration: { rules: this.rules(props) },
      });
      bucket.cfnOptions.deletionPolicy = CfnDeletionPolicy.RETAIN;
      bucket.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
      accept(bucket, 'AwsSolutions-S1', 'Access logs would double the objects; who needs them names a bucket of their own.');
      const policy = new CfnBucketPolicy(this, 'Policy', {
        bucket: bucket.ref,
        policyDocument: {
          Version: '2012-10-17',
          Statement: [
            {
              Sid: 'TlsOnly',
              Effect: 'Deny',
              Principal: { AWS: '*' },
              Action: 's3:*',
              Resource: [bucket.attrArn, Fn.join('', [bucket.attrArn, '/*'])],
              Condition: { Bool: { 'aws:SecureTransport': 'false' } },
            },
          ],
        },
      });
      return [bucket, policy];
    });
    this.bucket = made[0] as CfnBucket | undefined;
  }

  private rules(props: DataBucketProps): CfnBucket.RuleProperty[] {
    const moved = not('ObjectsMove', equal('ObjectsNeverMove', props.transitionDays, '0'));
    const expired = not('ObjectsExpire', equal('ObjectsNeverExpire', props.expiryDays, '0'));
    return [
      // What an upload that was cut off left behind is paid for and seen by nobody.
      { id: 'AbortUploads', status: 'Enabled', abortIncompleteMultipartUpload: { daysAfterInitiation: 2 } },
      ...optional<CfnBucket.RuleProperty>(this, moved, {
        id: 'Transition',
        status: 'Enabled',
        transitions: [{ storageClass: 'INTELLIGENT_TIERING', transitionInDays: number(props.transitionDays) }],
      }),
      ...optional<CfnBucket.RuleProperty>(this, expired, { id: 'Expire', status: 'Enabled', expirationInDays: number(props.expiryDays) }),
    ];
  }
}

/** ARN of a bucket by its name. */
export function bucketArn(name: string): string {
  return `arn:${Aws.PARTITION}:s3:::${name}`;
}
