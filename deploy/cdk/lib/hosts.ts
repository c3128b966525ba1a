/**
 * The EC2 hosts of an ECS cluster: launch template, Auto Scaling group, warm pool, capacity provider.
 *
 * How many hosts there are follows from the tasks: one task fills one host, and the capacity provider starts what tasks
 * wait for. Hosts that go are drained by ECS first, then by host/millrun-host.
 */
import { Aws, Fn } from 'aws-cdk-lib';
import { CfnAutoScalingGroup, CfnWarmPool } from 'aws-cdk-lib/aws-autoscaling';
import { CfnLaunchTemplate, CfnSecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { CfnCapacityProvider } from 'aws-cdk-lib/aws-ecs';
import { CfnInstanceProfile, CfnRole } from 'aws-cdk-lib/aws-iam';
import { StringParameter, ParameterValueType } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { accept, acceptManagedPolicy, acceptWildcards } from './accept';
import { ENGINE_UID, STATE_DIR, Variables } from './engine';
import { HostSize } from './host-size';
import { Statement, arn, serviceRole } from './iam';
import { Sink } from './sink';
import { pickText } from './switch';
import { conditional } from './task';
import { userData } from './user-data';
import { number } from './number';

export interface HostsProps {
  vpcId: string;
  /** Comma list, two zones or more. */
  subnetIds: string;
  clusterName: string;
  clusterArn: string;
  image: string;
  instanceType: string;
  size: HostSize;
  /** Fewest hosts. */
  hostMin: string;
  /** Most hosts: a limit, not an aim. At least one more than the most tasks, or a deployment can't start. */
  hostMax: string;
  warmPoolSize: string;
  stopTimeoutS: string;
  sink: Sink;
  /** The engine's variables, for emptying its journal. */
  environment: Variables;
  /** GiB of the journal's volume. */
  journalVolumeGiB: string;
}

const JOURNAL_DEVICE = '/dev/sdf';
const DRAIN_HOOK = 'millrun-journal';

/** Seconds that a host may take to empty its journal before Auto Scaling goes on; its volume stays if it does not. */
const DRAIN_HOOK_TIMEOUT_S = 1800;

export class Hosts extends Construct {
  readonly group: CfnAutoScalingGroup;
  readonly capacityProvider: CfnCapacityProvider;
  private readonly fleetTag = { key: 'millrun:fleet', value: Aws.STACK_NAME };

  constructor(scope: Construct, id: string, private readonly props: HostsProps) {
    super(scope, id);
    const template = this.launchTemplate();
    this.group = new CfnAutoScalingGroup(this, 'Group', {
      vpcZoneIdentifier: Fn.split(',', props.subnetIds),
      minSize: props.hostMin,
      maxSize: props.hostMax,
      launchTemplate: { launchTemplateId: template.ref, version: template.attrLatestVersionNumber },
      healthCheckType: 'EC2',
      healthCheckGracePeriod: 60,
      // Zones are balanced, and sick hosts replaced, by starting the new host first.
      instanceMaintenancePolicy: { minHealthyPercentage: 100, maxHealthyPercentage: 200 },
      metricsCollection: [{ granularity: '1Minute' }],
      terminationPolicies: ['OldestLaunchTemplate', 'Default'],
      lifecycleHookSpecificationList: props.sink.journaled
        ? [
            {
              lifecycleHookName: DRAIN_HOOK,
              lifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
              heartbeatTimeout: DRAIN_HOOK_TIMEOUT_S,
              defaultResult: 'CONTINUE',
            },
          ]
        : undefined,
      tags: [
        { ...this.fleetTag, propagateAtLaunch: true },
        { key: 'Name', value: Aws.STACK_NAME, propagateAtLaunch: true },
        // Lets ECS manage the group's size.
        { key: 'AmazonECSManaged', value: 'true', propagateAtLaunch: true },
      ],
    });
    accept(this.group, 'AwsSolutions-AS3', 'Alarms tell what matters of the hosts; a notice for each one that comes or goes would be noise.');
    // A new launch template reaches the hosts one by one, each replaced before the next goes.
    this.group.cfnOptions.updatePolicy = {
      autoScalingRollingUpdate: {
        minInstancesInService: number(props.hostMin),
        maxBatchSize: 1,
        pauseTime: 'PT3M',
        suspendProcesses: ['AZRebalance', 'AlarmNotification', 'ScheduledActions', 'HealthCheck', 'ReplaceUnhealthy'],
      },
    };
    // Both bounds are given: without the upper one a pool holds as many hosts as the group may ever have.
    new CfnWarmPool(this, 'WarmPool', {
      autoScalingGroupName: this.group.ref,
      minSize: number(props.warmPoolSize),
      maxGroupPreparedCapacity: number(props.warmPoolSize),
      poolState: 'Stopped',
    });
    this.capacityProvider = new CfnCapacityProvider(this, 'CapacityProvider', {
      autoScalingGroupProvider: {
        autoScalingGroupArn: this.group.ref,
        managedScaling: {
          status: 'ENABLED',
          targetCapacity: 100,
          minimumScalingStepSize: 1,
          maximumScalingStepSize: 100,
          instanceWarmupPeriod: 30,
        },
        managedDraining: 'ENABLED',
        // Hosts that still have tasks are drained before they go, so there is nothing to protect; and protected hosts
        // keep a stack from being deleted.
        managedTerminationProtection: 'DISABLED',
      },
    });
  }

  private launchTemplate(): CfnLaunchTemplate {
    const { props } = this;
    const profile = new CfnInstanceProfile(this, 'Profile', { roles: [this.role().ref] });
    const group = new CfnSecurityGroup(this, 'SecurityGroup', {
      vpcId: props.vpcId,
      groupDescription: 'Millrun hosts: nothing in, AWS APIs and packages out',
      securityGroupEgress: [
        { ipProtocol: 'tcp', fromPort: 443, toPort: 443, cidrIp: '0.0.0.0/0', description: 'AWS APIs, packages, images' },
      ],
    });
    return new CfnLaunchTemplate(this, 'LaunchTemplate', {
      launchTemplateData: {
        imageId: this.imageId(),
        instanceType: props.instanceType,
        iamInstanceProfile: { arn: profile.attrArn },
        securityGroupIds: [group.attrGroupId],
        metadataOptions: { httpTokens: 'required', httpEndpoint: 'enabled', httpPutResponseHopLimit: 1 },
        monitoring: { enabled: true },
        ebsOptimized: true,
        blockDeviceMappings: this.disks(),
        tagSpecifications: ['instance', 'volume'].map((resourceType) => ({ resourceType, tags: [this.fleetTag] })),
        userData: userData({
          host: this.variables(),
          engine: props.sink.journaled ? this.engineVariables() : undefined,
        }),
      },
    });
  }

  /** ECS's own image, of the moment at which the stack was last deployed. */
  private imageId(): string {
    const path = (arch: string) => `/aws/service/ecs/optimized-ami/amazon-linux-2023/${arch}recommended/image_id`;
    const image = (arch: string) =>
      StringParameter.valueForTypedStringParameterV2(this, path(arch), ParameterValueType.AWS_EC2_IMAGE_ID);
    return pickText(this, this.props.size.arm, image('arm64/'), image(''));
  }

  private disks(): CfnLaunchTemplate.BlockDeviceMappingProperty[] {
    const ebs = (volumeSize: number) => ({
      volumeSize,
      volumeType: 'gp3',
      encrypted: true,
      deleteOnTermination: true,
    });
    const root = { deviceName: '/dev/xvda', ebs: ebs(30) };
    if (!this.props.sink.journaled) {
      return [root];
    }
    // Goes with a host that never served, such as one of the warm pool; host/millrun-host keeps it once it serves.
    return [root, { deviceName: JOURNAL_DEVICE, ebs: ebs(number(this.props.journalVolumeGiB)) }];
  }

  private variables(): Record<string, string> {
    return {
      MILLRUN_CLUSTER: this.props.clusterName,
      MILLRUN_REGION: Aws.REGION,
      MILLRUN_IMAGE: this.props.image,
      MILLRUN_UID: String(ENGINE_UID),
      MILLRUN_STATE_DIR: STATE_DIR,
      MILLRUN_STOP_TIMEOUT_S: this.props.stopTimeoutS,
      MILLRUN_JOURNAL: this.props.sink.journaled ? 'yes' : 'no',
      MILLRUN_JOURNAL_DEVICE: JOURNAL_DEVICE,
      MILLRUN_HOOK: DRAIN_HOOK,
    };
  }

  private engineVariables(): Variables {
    const sink = Object.fromEntries(this.props.sink.variables(this).map(({ name, value }) => [name, value]));
    return { ...this.props.environment, ...sink };
  }

  private role(): CfnRole {
    const { props } = this;
    const tagged = { StringEquals: { 'aws:ResourceTag/millrun:fleet': Aws.STACK_NAME } };
    const journal: Statement[] = [
      {
        Sid: 'KeepJournalVolume',
        Action: ['ec2:ModifyInstanceAttribute'],
        Resource: arn('ec2', 'instance/*'),
        Condition: tagged,
      },
      // A volume's mark is an attribute of both.
      { Sid: 'KeepJournalVolumeItself', Action: ['ec2:ModifyInstanceAttribute'], Resource: arn('ec2', 'volume/*'), Condition: tagged },
      {
        Sid: 'LeaveAfterDraining',
        Action: ['autoscaling:CompleteLifecycleAction'],
        Resource: arn('autoscaling', 'autoScalingGroup:*:autoScalingGroupName/*'),
        Condition: tagged,
      },
      { Sid: 'FindOwnGroup', Action: ['autoscaling:DescribeAutoScalingInstances'], Resource: '*' },
    ];
    const role = serviceRole(this, 'Role', {
      service: 'ec2',
      description: 'Millrun host: ECS agent, Session Manager, emptying its journal',
      managedPolicyArns: [`arn:${Aws.PARTITION}:iam::aws:policy/AmazonSSMManagedInstanceCore`],
      statements: [
        ...agent(props.clusterArn),
        ...(props.sink.journaled ? [...journal, ...conditional(this, props.sink.statements(this))] : []),
      ],
    });
    acceptManagedPolicy(role, 'AmazonSSMManagedInstanceCore', 'Session Manager is the only way into a host, and AWS keeps the policy that it needs.');
    acceptWildcards(role, "The ids of hosts and groups don't exist before the role: a tag or the cluster narrows each.");
    return role;
  }
}

/** What the ECS agent calls, of this cluster only. AWS's managed policy for it knows all clusters. */
function agent(clusterArn: string): Statement[] {
  return [
    {
      Sid: 'JoinCluster',
      Action: ['ecs:DeregisterContainerInstance', 'ecs:RegisterContainerInstance', 'ecs:SubmitContainerStateChange', 'ecs:SubmitTaskStateChange', 'ecs:SubmitAttachmentStateChanges'],
      Resource: clusterArn,
    },
    {
      Sid: 'WorkForCluster',
      Action: ['ecs:Poll', 'ecs:StartTelemetrySession', 'ecs:UpdateContainerInstancesState'],
      Resource: arn('ecs', 'container-instance/*'),
      Condition: { ArnEquals: { 'ecs:cluster': clusterArn } },
    },
    { Sid: 'FindEndpoint', Action: ['ecs:DiscoverPollEndpoint'], Resource: '*' },
    { Sid: 'TagInstances', Action: ['ecs:TagResource'], Resource: arn('ecs', 'container-instance/*'), Condition: { StringEquals: { 'ecs:CreateAction': 'RegisterContainerInstance' } } },
  ];
}
