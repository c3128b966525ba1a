/**
 * A topic in Kafka: Amazon MSK or brokers of one's own.
 *
 * | authentication | towards the brokers                                   |
 * | -------------- | ----------------------------------------------------- |
 * | NONE           | plaintext, as the replaced system does                |
 * | TLS            | TLS, nobody is asked who they are                     |
 * | SCRAM          | TLS and SCRAM-SHA-512 with a name and password secret |
 * | IAM            | TLS and the task's role (MSK only)                    |
 */
import { CfnSecurityGroupEgress, CfnSecurityGroupIngress } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { Statement, arn } from './iam';
import { ConditionalStatement, SecretVariable, Sink, Variable } from './sink';
import { Switch, and, equal, not, or, pickText, when } from './switch';

export interface KafkaSinkProps {
  /** Comma list of host:port. */
  brokers: string;
  topic: string;
  /** "NONE", "TLS", "SCRAM" or "IAM". */
  authentication: string;
  /** ARN of a secret {"username", "password"} for SCRAM, or "". */
  secretArn: string;
  /** ARN of the key that the secret is encrypted with (MSK asks for one of the account's own), or "". */
  secretKeyArn: string;
  /** Name of the MSK cluster, or "": brokers of one's own. */
  clusterName: string;
  /** Security group of the brokers, or "": they let the engines in by themselves. */
  securityGroupId: string;
}

/** Ports of MSK's listeners, from plaintext (9092) to public IAM (9198). */
const MSK_PORTS = { ipProtocol: 'tcp', fromPort: 9092, toPort: 9198 };

export class KafkaSink implements Sink {
  readonly kind = 'kafka';
  readonly journaled = false;
  private readonly scram: Switch;
  private readonly iam: Switch;
  private readonly encrypted: Switch;

  constructor(private readonly props: KafkaSinkProps) {
    this.scram = equal('KafkaByScram', props.authentication, 'SCRAM');
    this.iam = equal('KafkaByIam', props.authentication, 'IAM');
    this.encrypted = not('KafkaByTls', equal('KafkaByPlaintext', props.authentication, 'NONE'));
  }

  variables(scope: Construct): Variable[] {
    const sasl = or('KafkaBySasl', this.scram, this.iam);
    return [
      { name: 'AWS_MSK_BROKERS', value: this.props.brokers },
      { name: 'AWS_MSK_TOPIC', value: this.props.topic },
      {
        name: 'MILLRUN_SINK__KAFKA__PROPERTIES__SECURITY_PROTOCOL',
        value: pickText(scope, sasl, 'sasl_ssl', 'ssl'),
        only: this.encrypted,
      },
      {
        name: 'MILLRUN_SINK__KAFKA__SASL__MECHANISM',
        value: pickText(scope, this.iam, 'AWS_MSK_IAM', 'SCRAM-SHA-512'),
        only: sasl,
      },
    ];
  }

  secrets(): SecretVariable[] {
    return ['username', 'password'].map((key) => ({
      name: `MILLRUN_SINK__KAFKA__SASL__${key.toUpperCase()}`,
      valueFrom: `${this.props.secretArn}:${key}::`,
      only: this.scram,
    }));
  }

  statements(): ConditionalStatement[] {
    return writeStatements(this.props.clusterName, this.props.topic).map((statement) => ({ statement, only: this.iam }));
  }

  executionStatements(): ConditionalStatement[] {
    const key = not('HasKafkaSecretKey', equal('HasNoKafkaSecretKey', this.props.secretKeyArn, ''));
    return [
      {
        statement: { Sid: 'KafkaSecret', Action: ['secretsmanager:GetSecretValue'], Resource: this.props.secretArn },
        only: this.scram,
      },
      {
        statement: { Sid: 'KafkaSecretKey', Action: ['kms:Decrypt'], Resource: this.props.secretKeyArn },
        only: and('KafkaSecretHasKey', this.scram, key),
      },
    ];
  }

  connect(scope: Construct, engineSecurityGroupId: string): void {
    const open = equal('HasNoBrokerGroup', this.props.securityGroupId, '');
    when(scope, not('HasBrokerGroup', open), () => [
      new CfnSecurityGroupIngress(scope, 'BrokersFromEngine', {
        groupId: this.props.securityGroupId,
        sourceSecurityGroupId: engineSecurityGroupId,
        description: 'Millrun engines',
        ...MSK_PORTS,
      }),
      new CfnSecurityGroupEgress(scope, 'EngineToBrokers', {
        groupId: engineSecurityGroupId,
        destinationSecurityGroupId: this.props.securityGroupId,
        description: 'Kafka brokers',
        ...MSK_PORTS,
      }),
    ]);
    // Where the brokers are and which ports they chose stands in a text that CloudFormation can't take apart.
    when(scope, open, () => [
      new CfnSecurityGroupEgress(scope, 'EngineToOwnBrokers', {
        groupId: engineSecurityGroupId,
        ipProtocol: 'tcp',
        fromPort: 1024,
        toPort: 65535,
        cidrIp: '0.0.0.0/0',
        description: 'Kafka brokers without a security group of their own',
      }),
    ]);
  }
}

/** What an idempotent producer needs with MSK's IAM. The last part of MSK's ARNs is a UUID that nobody knows before. */
export function writeStatements(clusterName: string, topic: string): Statement[] {
  return [
    {
      Sid: 'KafkaConnect',
      Action: ['kafka-cluster:Connect', 'kafka-cluster:WriteDataIdempotently'],
      Resource: arn('kafka', `cluster/${clusterName}/*`),
    },
    {
      Sid: 'WriteEvents',
      Action: ['kafka-cluster:DescribeTopic', 'kafka-cluster:WriteData'],
      Resource: arn('kafka', `topic/${clusterName}/*/${topic}`),
    },
  ];
}
