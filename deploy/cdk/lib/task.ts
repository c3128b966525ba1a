/**
 * The task: one container, one engine. Both kinds of compute run the same, but for the size, the journal's volume and
 * what Fargate does not offer (io_uring, sysctls of one's own, more than 65,535 files).
 */
import { Aws, RemovalPolicy } from 'aws-cdk-lib';
import { CfnTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { CfnRole } from 'aws-cdk-lib/aws-iam';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { accept, acceptWildcards } from './accept';
import { CONTAINER, DATA_PORT, HEALTH_COMMAND, STATE_DIR, Variables } from './engine';
import { Statement, serviceRole } from './iam';
import { ConditionalStatement, Sink } from './sink';
import { optional, pick } from './switch';
import { number } from './number';

export interface TaskProps {
  /** Image URI. An ECR repository must be of this region and account, or allow this account. */
  image: string;
  compute: 'EC2' | 'FARGATE';
  /** "X86_64" or "ARM64". */
  architecture: string;
  /** CPU units. */
  cpu: string;
  /** MiB. */
  memoryMiB: string;
  /** Seconds between SIGTERM and SIGKILL. */
  stopTimeoutS: string;
  environment: Variables;
  sink: Sink;
  /** GiB on Fargate: the journal's room, 21 to 200. */
  ephemeralStorageGiB?: string;
}

const JOURNAL_VOLUME = 'journal';

/** Of the ECR repositories that a registry's token opens, and of the image: images may be of other accounts. */
const PULL: Statement[] = [
  { Sid: 'RegistryToken', Action: ['ecr:GetAuthorizationToken'], Resource: '*' },
  {
    Sid: 'PullImage',
    Action: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
    Resource: `arn:${Aws.PARTITION}:ecr:${Aws.REGION}:*:repository/*`,
  },
];

export class Task extends Construct {
  readonly definition: CfnTaskDefinition;
  readonly taskRole: CfnRole;
  readonly logGroup: CfnLogGroup;

  constructor(scope: Construct, id: string, private readonly props: TaskProps) {
    super(scope, id);
    this.logGroup = new CfnLogGroup(this, 'Logs', { retentionInDays: 30 });
    this.logGroup.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.taskRole = serviceRole(this, 'TaskRole', {
      service: 'ecs-tasks',
      description: 'Millrun engine: writes to its sink',
      statements: conditional(this, props.sink.statements(this)),
    });
    const execution = serviceRole(this, 'ExecutionRole', {
      service: 'ecs-tasks',
      description: 'ECS: starts the Millrun engine',
      statements: [
        ...PULL,
        { Sid: 'WriteLogs', Action: ['logs:CreateLogStream', 'logs:PutLogEvents'], Resource: this.logGroup.attrArn },
        ...conditional(this, props.sink.executionStatements(this)),
      ],
    });
    acceptWildcards(this.taskRole, 'Objects below the prefix, or the UUID in an MSK ARN.');
    acceptWildcards(execution, "A registry's token is for all of it; images may be of a shared account.");
    const fargate = props.compute === 'FARGATE';
    this.definition = new CfnTaskDefinition(this, 'Task', {
      requiresCompatibilities: [props.compute],
      networkMode: 'awsvpc',
      taskRoleArn: this.taskRole.attrArn,
      executionRoleArn: execution.attrArn,
      runtimePlatform: { operatingSystemFamily: 'LINUX', cpuArchitecture: props.architecture },
      // On EC2 the size is the container's. As the task's it would be a quota, which costs throttling and brings nothing
      // where one task has the host.
      ...(fargate ? { cpu: props.cpu, memory: props.memoryMiB } : {}),
      ...(fargate && props.sink.journaled ? { ephemeralStorage: { sizeInGiB: number(props.ephemeralStorageGiB ?? '21') } } : {}),
      volumes: this.volumes(fargate),
      containerDefinitions: [this.container(fargate)],
    });
    accept(this.definition, 'AwsSolutions-ECS2', 'The variables name places, not secrets; those come from Secrets Manager.');
  }

  private volumes(fargate: boolean): CfnTaskDefinition.VolumeProperty[] {
    if (!this.props.sink.journaled) {
      return [];
    }
    return [fargate ? { name: JOURNAL_VOLUME } : { name: JOURNAL_VOLUME, host: { sourcePath: STATE_DIR } }];
  }

  private container(fargate: boolean): CfnTaskDefinition.ContainerDefinitionProperty {
    const files = fargate ? 65535 : 1048576;
    return {
      name: CONTAINER,
      image: this.props.image,
      essential: true,
      cpu: number(this.props.cpu),
      memory: number(this.props.memoryMiB),
      portMappings: [{ containerPort: DATA_PORT, protocol: 'tcp' }],
      environment: this.environment(),
      secrets: this.secrets(),
      readonlyRootFilesystem: true,
      // In the form of a list there is no shell in between: the engine is PID 1 and gets SIGTERM itself.
      healthCheck: { command: HEALTH_COMMAND, interval: 10, timeout: 5, retries: 3, startPeriod: 30 },
      stopTimeout: number(this.props.stopTimeoutS),
      ulimits: [{ name: 'nofile', softLimit: files, hardLimit: files }],
      linuxParameters: { capabilities: { drop: ['ALL'] } },
      ...(fargate
        ? {}
        : {
            dockerSecurityOptions: ['no-new-privileges'],
            systemControls: [
              { namespace: 'net.core.somaxconn', value: '4096' },
              { namespace: 'net.ipv4.tcp_max_syn_backlog', value: '4096' },
            ],
          }),
      mountPoints: this.props.sink.journaled
        ? [{ sourceVolume: JOURNAL_VOLUME, containerPath: STATE_DIR, readOnly: false }]
        : [],
      logConfiguration: {
        logDriver: 'awslogs',
        options: {
          'awslogs-group': this.logGroup.ref,
          'awslogs-region': Aws.REGION,
          'awslogs-stream-prefix': CONTAINER,
          // A log service that is slow must not stop an engine that writes a line.
          mode: 'non-blocking',
          'max-buffer-size': '4m',
        },
      },
    };
  }

  private environment(): CfnTaskDefinition.KeyValuePairProperty[] {
    const common = { ...this.props.environment };
    const sink = this.props.sink.variables(this);
    for (const { name, only } of sink) {
      if (only !== false) {
        delete common[name];
      }
    }
    return [
      ...Object.entries(common).map(([name, value]) => ({ name, value })),
      ...sink.flatMap(({ name, value, only }) => optional(this, only ?? true, { name, value })),
    ];
  }

  private secrets(): CfnTaskDefinition.SecretProperty[] | undefined {
    const secrets = this.props.sink
      .secrets(this)
      .flatMap(({ name, valueFrom, only }) => optional(this, only ?? true, { name, valueFrom }));
    return secrets.length > 0 ? secrets : undefined;
  }
}

/** Statements of a policy, those under a condition as `Fn::If`. */
export function conditional(scope: Construct, statements: ConditionalStatement[]): unknown[] {
  return statements
    .filter(({ only }) => only !== false)
    .map(({ statement, only }) =>
      pick<unknown>(scope, only ?? true, { Effect: 'Allow', ...statement }, { Ref: 'AWS::NoValue' }),
    );
}
