/**
 * Puts the parts together, for the construct library (whose choices are made) and for the console templates (whose
 * choices are parameters: there is a nested stack for every choice, and the one that was chosen exists).
 *
 *   this stack                                          stacks of their own
 *   ────────────────────────────────────────────       ────────────────────────────────────────────────────────
 *   load balancer, listeners, target group        ◀──  Fleet: cluster, task, service, scaling, alarms, dashboard
 *   security groups, accelerator, alarm topic           EventStream: Kinesis, and the function that carries it to S3
 *   data bucket                                         Endpoints
 */
import { Aws, CfnOutput, Fn, NestedStack, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { Accelerator } from './accelerator';
import { AlarmTopic, AlarmTopicProps } from './alarm-topic';
import { carry } from './carry';
import { DataBucket, DataBucketProps } from './data-bucket';
import { Endpoints, EndpointsProps } from './endpoints';
import { EventStream, EventStreamProps } from './event-stream';
import { EngineSettings } from './engine';
import { Fleet, FleetSettings } from './fleet';
import { FrontDoor, FrontDoorProps } from './front-door';
import { KafkaSink, KafkaSinkProps } from './kafka-sink';
import { kafkaTopic } from './kafka-topic';
import { KinesisSink } from './kinesis-sink';
import { RoleRules, applyRoleRules } from './roles';
import { S3Sink, S3SinkProps } from './s3-sink';
import { Sink } from './sink';
import { Switch, and, equal, not, pickText, when } from './switch';

export const SINKS = ['S3', 'MSK', 'KDS'] as const;
export const COMPUTES = ['EC2', 'FARGATE'] as const;

export type SinkType = (typeof SINKS)[number];
export type ComputeType = (typeof COMPUTES)[number];

export interface Settings {
  /** One of {@link SINKS}, or a parameter that will be. */
  sinkType: string;
  /** One of {@link COMPUTES}, or a parameter that will be. */
  computeType: string;
  frontDoor: FrontDoorProps;
  acceleratorWanted: Switch;
  alarmTopic: AlarmTopicProps;
  roles: RoleRules;
  engine: Omit<EngineSettings, 'redirectToHttps'>;
  fleet: Omit<FleetSettings, 'alarmTopicArn' | 'vpcId' | 'privateSubnetIds'>;
  dataBucket: DataBucketProps;
  /** Sinks that can't be chosen are left out. A bucket "" is the one made here. */
  s3?: S3SinkProps;
  kafka?: KafkaSinkProps & { topicClusterArn: string; topicPartitions: string; topicReplicas: string };
  kinesis?: Omit<EventStreamProps, 'alarmTopicArn'>;
  endpoints?: { wanted: Switch } & EndpointsProps;
}

export class Assembly extends Construct {
  readonly frontDoor: FrontDoor;
  readonly fleets: Fleet[] = [];
  readonly eventStream?: EventStream;
  readonly alarmTopicArn: string;
  readonly url: string;
  private readonly dataBucket: DataBucket;

  constructor(scope: Construct, id: string, private readonly settings: Settings) {
    super(scope, id);
    this.alarmTopicArn = new AlarmTopic(this, 'AlarmTopic', settings.alarmTopic).arn;
    this.frontDoor = new FrontDoor(this, 'FrontDoor', settings.frontDoor);
    this.dataBucket = new DataBucket(this, 'DataBucket', settings.dataBucket);
    const dns = this.accelerated();
    this.url = this.address(dns);
    this.eventStream = this.makeEventStream();
    for (const compute of COMPUTES) {
      for (const sink of SINKS) {
        this.makeFleet(compute, sink);
      }
    }
    this.makeEndpoints();
    applyRoleRules(this, settings.roles);
    new CfnOutput(Stack.of(this), 'IngestionServerDNS', { value: dns, description: 'Host that clients call' });
    new CfnOutput(Stack.of(this), 'IngestionServerURL', { value: this.url, description: 'Endpoint of the SDKs' });
  }

  private chosen(sink: SinkType): Switch {
    return equal(`SinkIs${sink}`, this.settings.sinkType, sink);
  }

  private accelerated(): string {
    const { frontDoor, acceleratorWanted } = this.settings;
    const inChina = ['cn-north-1', 'cn-northwest-1'].map((region) => not(`IsNot${region.replace(/-/g, '')}`, equal(`Is${region.replace(/-/g, '')}`, Aws.REGION, region)));
    const enabled = and('HasAccelerator', acceleratorWanted, ...(acceleratorWanted === false ? [] : inChina));
    const { accelerator } = new Accelerator(this, 'Accelerator', {
      enabled,
      https: frontDoor.https,
      loadBalancerArn: this.frontDoor.loadBalancer.ref,
    });
    return pickText(this, enabled, accelerator?.attrDnsName ?? '', this.frontDoor.dnsName);
  }

  private address(dns: string): string {
    const { https, domainName, path } = this.settings.frontDoor;
    const named = not('HasDomain', equal('HasNoDomain', domainName, ''));
    const host = pickText(this, named, domainName, dns);
    return Fn.join('', [pickText(this, https, 'https://', 'http://'), host, path]);
  }

  /** The bucket that a sink names, or the one made here. */
  private bucket(given: string): string {
    return pickText(this, this.settings.dataBucket.create, this.dataBucket.bucket?.ref ?? '', given);
  }

  private makeEventStream(): EventStream | undefined {
    const { kinesis } = this.settings;
    const chosen = this.chosen('KDS');
    if (!kinesis || chosen === false) {
      return undefined;
    }
    const stream = new EventStream(this, 'EventStream', {
      ...kinesis,
      bucket: this.bucket(kinesis.bucket),
      alarmTopicArn: this.alarmTopicArn,
    });
    onlyIf(stream, chosen);
    const output = new CfnOutput(Stack.of(this), 'KinesisArn', { value: stream.stream.attrArn });
    if (chosen !== true) {
      output.condition = chosen.in(this);
    }
    return stream;
  }

  private makeFleet(compute: ComputeType, sink: SinkType): void {
    const { settings, frontDoor } = this;
    const chosen = and(`FleetIs${compute}${sink}`, equal(`ComputeIs${compute}`, settings.computeType, compute), this.chosen(sink));
    const make = this.sink(sink);
    if (chosen === false || !make) {
      return;
    }
    const { vpcId, privateSubnetIds, https } = settings.frontDoor;
    const fleet = new Fleet(this, `Fleet${compute}${sink}`, {
      compute,
      sink: make,
      engine: { ...settings.engine, redirectToHttps: pickText(this, https, 'true', 'false') },
      settings: { ...settings.fleet, vpcId, privateSubnetIds, alarmTopicArn: this.alarmTopicArn },
      targetGroupArn: frontDoor.targetGroup.ref,
      targetGroupName: frontDoor.targetGroup.attrTargetGroupFullName,
      loadBalancerName: frontDoor.loadBalancer.attrLoadBalancerFullName,
      engineSecurityGroupId: frontDoor.securityGroups.engine.attrGroupId,
    });
    onlyIf(fleet, chosen);
    fleet.nestedStackResource?.addResourceDependency(frontDoor.rule);
    this.fleets.push(fleet);
  }

  /** Makes a sink inside a fleet's stack; absent if it can't be chosen. */
  private sink(type: SinkType): ((fleet: NestedStack) => Sink) | undefined {
    const { s3, kafka } = this.settings;
    const stream = this.eventStream?.stream;
    if (type === 'S3' && s3) {
      return (fleet) =>
        new S3Sink({
          ...s3,
          bucket: carry(fleet, 'DataBucketName', this.bucket(s3.bucket)),
          prefix: carry(fleet, 'DataPrefix', s3.prefix),
        });
    }
    if (type === 'KDS' && stream) {
      return () => new KinesisSink({ streamName: stream.ref, streamArn: stream.attrArn });
    }
    if (type === 'MSK' && kafka) {
      const made = and('MakesTopic', this.chosen('MSK'), not('HasTopicCluster', equal('HasNoTopicCluster', kafka.topicClusterArn, '')));
      if (!this.node.tryFindChild('Topic')) {
        when(this, made, () => [
          kafkaTopic(this, 'Topic', {
            clusterArn: kafka.topicClusterArn,
            topic: kafka.topic,
            partitions: kafka.topicPartitions,
            replicas: kafka.topicReplicas,
          }),
        ]);
      }
      return () => new KafkaSink(kafka);
    }
    return undefined;
  }

  private makeEndpoints(): void {
    const { endpoints } = this.settings;
    if (!endpoints || endpoints.wanted === false) {
      return;
    }
    onlyIf(new Endpoints(this, 'Endpoints', endpoints), endpoints.wanted);
  }
}

function onlyIf(stack: NestedStack, choice: Switch): void {
  if (choice !== true && choice !== false && stack.nestedStackResource) {
    (stack.nestedStackResource as import('aws-cdk-lib').CfnStack).cfnOptions.condition = choice.in(Stack.of(stack.nestedStackResource));
  }
}
