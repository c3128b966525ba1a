/**
 * One way to run engines towards one sink: cluster, task, service, scaling, alarms. A stack of its own, so that another
 * sink or compute is another stack behind the same load balancer: the new one serves before the old one goes.
 */
import { Fn, NestedStack } from 'aws-cdk-lib';
import { CfnCluster, CfnClusterCapacityProviderAssociations, CfnService } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { Alarms } from './alarms';
import { carry } from './carry';
import { Dashboard } from './dashboard';
import { CONTAINER, DATA_PORT, EngineSettings, environment, journalBytes } from './engine';
import { HostSize } from './host-size';
import { Hosts } from './hosts';
import { Scaling } from './scaling';
import { Sink } from './sink';
import { Task } from './task';

/** Numbers are texts where a parameter may stand in for them. */
export interface FleetSettings {
  vpcId: string;
  /** Comma list, two zones or more. */
  privateSubnetIds: string;
  image: string;
  /** Fewest and most tasks. */
  taskMin: string;
  taskMax: string;
  cpuPercent: string;
  busyPercent: string;
  burstBusyPercent: string;
  /** Seconds between SIGTERM and SIGKILL, 60 to 120. */
  stopTimeoutS: string;
  ec2: {
    instanceType: string;
    hostMax: string;
    warmPoolSize: string;
    journalVolumeGiB: string;
  };
  fargate: {
    architecture: string;
    cpu: string;
    memoryMiB: string;
    ephemeralStorageGiB: string;
    /** GB, at least 5 below the storage, which also holds the image. */
    journalGB: string;
  };
  /** Where alarms are sent. */
  alarmTopicArn: string;
  /** Most seconds that the 99th percentile may take. */
  latencyP99MaxS: string;
}

export interface FleetProps {
  compute: 'EC2' | 'FARGATE';
  /** Makes the sink inside this stack. */
  sink: (fleet: NestedStack) => Sink;
  engine: EngineSettings;
  settings: FleetSettings;
  targetGroupArn: string;
  targetGroupName: string;
  loadBalancerName: string;
  engineSecurityGroupId: string;
}

export class Fleet extends NestedStack {
  readonly service: CfnService;
  readonly cluster: CfnCluster;

  private readonly sink: Sink;
  private readonly settings: FleetSettings;

  constructor(scope: Construct, id: string, private readonly fleet: FleetProps) {
    super(scope, id);
    const { compute } = fleet;
    const alarmTopicArn = carry(this, 'AlarmTopicArn', fleet.settings.alarmTopicArn);
    const settings = { ...fleet.settings, alarmTopicArn };
    const sink = fleet.sink(this);
    this.settings = settings;
    this.sink = sink;
    const engine = {
      ...fleet.engine,
      appIds: carry(this, 'AppIdList', fleet.engine.appIds),
      redirectToHttps: carry(this, 'RedirectToHttps', fleet.engine.redirectToHttps),
    };
    this.cluster = new CfnCluster(this, 'Cluster', { clusterSettings: [{ name: 'containerInsights', value: 'enabled' }] });
    const size = compute === 'EC2' ? new HostSize(this, settings.ec2.instanceType) : undefined;
    const journal = sink.journaled
      ? {
          bytesMax: journalBytes(compute === 'EC2' ? settings.ec2.journalVolumeGiB : settings.fargate.journalGB),
          stopTimeoutS: settings.stopTimeoutS,
        }
      : undefined;
    const variables = environment(engine, journal);
    const task = new Task(this, 'Task', {
      image: settings.image,
      compute,
      architecture: size?.architecture ?? settings.fargate.architecture,
      cpu: size?.cpu ?? settings.fargate.cpu,
      memoryMiB: size?.memoryMiB ?? settings.fargate.memoryMiB,
      stopTimeoutS: settings.stopTimeoutS,
      environment: variables,
      sink,
      ephemeralStorageGiB: settings.fargate.ephemeralStorageGiB,
    });
    const hosts = size ? this.hosts(size, variables) : undefined;
    const provider = hosts?.capacityProvider.ref ?? 'FARGATE';
    const strategy = [{ capacityProvider: provider, base: 0, weight: 1 }];
    const association = new CfnClusterCapacityProviderAssociations(this, 'CapacityProviders', {
      cluster: this.cluster.ref,
      capacityProviders: [provider],
      defaultCapacityProviderStrategy: strategy,
    });
    this.service = this.makeService(task, strategy);
    this.service.addResourceDependency(association);
    sink.connect(this, fleet.engineSecurityGroupId);
    new Scaling(this, 'Scaling', {
      ...settings,
      projectId: fleet.engine.projectId,
      clusterName: this.cluster.ref,
      service: this.service,
    });
    const watched = {
      projectId: fleet.engine.projectId,
      clusterName: this.cluster.ref,
      serviceName: this.service.attrName,
      hostGroupName: hosts?.group.ref,
      journalBytesMax: journal?.bytesMax,
      loadBalancerName: fleet.loadBalancerName,
      targetGroupName: fleet.targetGroupName,
    };
    new Alarms(this, 'Alarms', { ...settings, ...watched });
    new Dashboard(this, 'Dashboard', watched);
  }

  private hosts(size: HostSize, variables: Record<string, string>): Hosts {
    const { sink, settings } = this;
    return new Hosts(this, 'Hosts', {
      vpcId: settings.vpcId,
      subnetIds: settings.privateSubnetIds,
      clusterName: this.cluster.ref,
      clusterArn: this.cluster.attrArn,
      image: settings.image,
      size,
      hostMin: settings.taskMin,
      stopTimeoutS: settings.stopTimeoutS,
      sink,
      environment: variables,
      ...settings.ec2,
    });
  }

  private makeService(task: Task, strategy: CfnService.CapacityProviderStrategyItemProperty[]): CfnService {
    const { compute, targetGroupArn, engineSecurityGroupId } = this.fleet;
    const { settings } = this;
    return new CfnService(this, 'Service', {
      cluster: this.cluster.ref,
      taskDefinition: task.definition.ref,
      capacityProviderStrategy: strategy,
      // No desired count: an update of the stack would set it back while the fleet is scaled out.
      deploymentConfiguration: {
        minimumHealthyPercent: 100,
        maximumPercent: 200,
        deploymentCircuitBreaker: { enable: true, rollback: true },
      },
      availabilityZoneRebalancing: 'ENABLED',
      healthCheckGracePeriodSeconds: 60,
      loadBalancers: [{ targetGroupArn, containerName: CONTAINER, containerPort: DATA_PORT }],
      networkConfiguration: {
        awsvpcConfiguration: {
          assignPublicIp: 'DISABLED',
          securityGroups: [engineSecurityGroupId],
          subnets: Fn.split(',', settings.privateSubnetIds),
        },
      },
      propagateTags: 'SERVICE',
      enableEcsManagedTags: true,
      ...(compute === 'EC2'
        ? {
            // One engine for a host, whatever a deployment does: two must never have one journal.
            placementConstraints: [{ type: 'distinctInstance' }],
            placementStrategies: [
              { type: 'spread', field: 'attribute:ecs.availability-zone' },
              { type: 'spread', field: 'instanceId' },
            ],
          }
        : { platformVersion: 'LATEST' }),
    });
  }
}
