/** Where alarms go: a topic that is given, or one made here that perhaps writes to an address. */
import { Aws } from 'aws-cdk-lib';
import { CfnSubscription, CfnTopic, CfnTopicPolicy } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { and, equal, not, pickText, when } from './switch';

export interface AlarmTopicProps {
  /** ARN of a topic that CloudWatch may publish to, or "": make one. */
  topicArn: string;
  /** Address that gets mail from a topic made here (after confirming it once), or "". */
  email: string;
}

export class AlarmTopic extends Construct {
  readonly arn: string;

  constructor(scope: Construct, id: string, props: AlarmTopicProps) {
    super(scope, id);
    const own = equal('MakesAlarmTopic', props.topicArn, '');
    const [topic] = when(this, own, () => [new CfnTopic(this, 'Topic', { displayName: 'Millrun alarms' })]) as CfnTopic[];
    if (topic) {
      when(this, own, () => [this.policy(topic)]);
      const mails = not('HasAlarmEmail', equal('HasNoAlarmEmail', props.email, ''));
      when(this, and('MailsAlarms', own, mails), () => [
        new CfnSubscription(this, 'Mail', { topicArn: topic.ref, protocol: 'email', endpoint: props.email }),
      ]);
    }
    this.arn = pickText(this, own, topic?.ref ?? '', props.topicArn);
  }

  /** CloudWatch of this account may publish; nobody may without TLS. */
  private policy(topic: CfnTopic): CfnTopicPolicy {
    return new CfnTopicPolicy(this, 'Policy', {
      topics: [topic.ref],
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          {
            Sid: 'Alarms',
            Effect: 'Allow',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Action: 'sns:Publish',
            Resource: topic.ref,
            Condition: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
          },
          {
            Sid: 'TlsOnly',
            Effect: 'Deny',
            Principal: '*',
            Action: 'sns:Publish',
            Resource: topic.ref,
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
          },
        ],
      },
    });
  }
}
