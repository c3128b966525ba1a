/**
 * How the number of tasks follows the load: out in a minute, in with care.
 *
 * | policy            | reacts to                             | how                                                    |
 * | ----------------- | ------------------------------------- | ------------------------------------------------------ |
 * | burst             | busy above `burstBusyPercent` for 60 s | half as many again, at least one, in one step          |
 * | busy              | busy away from `busyPercent`           | target tracking; in: 15 minutes below, then 5 apart    |
 * | CPU               | CPU away from `cpuPercent`             | the same                                               |
 *
 * `busy` is the engine's own measure, since hosts that use io_uring look different in CPU and iowait. Target tracking
 * needs 3 minutes to be sure before it adds, hence the burst; both must agree before it takes away.
 */
import { Fn } from 'aws-cdk-lib';
import { CfnScalableTarget, CfnScalingPolicy } from 'aws-cdk-lib/aws-applicationautoscaling';
import { CfnAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnService } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { METRICS, metricsNamespace } from './engine';
import { number } from './number';

export interface ScalingProps {
  projectId: string;
  clusterName: string;
  service: CfnService;
  taskMin: string;
  taskMax: string;
  /** 1 to 100. */
  cpuPercent: string;
  /** 1 to 100. */
  busyPercent: string;
  /** 1 to 100, above `busyPercent`. */
  burstBusyPercent: string;
}

const SCALE_OUT_COOLDOWN_S = 60;
const SCALE_IN_COOLDOWN_S = 300;

export class Scaling extends Construct {
  constructor(scope: Construct, id: string, props: ScalingProps) {
    super(scope, id);
    const target = new CfnScalableTarget(this, 'Target', {
      serviceNamespace: 'ecs',
      scalableDimension: 'ecs:service:DesiredCount',
      resourceId: Fn.join('/', ['service', props.clusterName, props.service.attrName]),
      minCapacity: number(props.taskMin),
      maxCapacity: number(props.taskMax),
    });
    const busy = { namespace: metricsNamespace(props.projectId), metricName: METRICS.busy };
    const track = (policyId: string, metric: object, targetValue: string) =>
      new CfnScalingPolicy(this, policyId, {
        policyName: policyId,
        policyType: 'TargetTrackingScaling',
        scalingTargetId: target.ref,
        targetTrackingScalingPolicyConfiguration: {
          targetValue: number(targetValue),
          scaleOutCooldown: SCALE_OUT_COOLDOWN_S,
          scaleInCooldown: SCALE_IN_COOLDOWN_S,
          ...metric,
        },
      });
    track('Cpu', { predefinedMetricSpecification: { predefinedMetricType: 'ECSServiceAverageCPUUtilization' } }, props.cpuPercent);
    track('Busy', { customizedMetricSpecification: { ...busy, statistic: 'Average', unit: 'Percent' } }, props.busyPercent);
    const burst = new CfnScalingPolicy(this, 'Burst', {
      policyName: 'Burst',
      policyType: 'StepScaling',
      scalingTargetId: target.ref,
      stepScalingPolicyConfiguration: {
        adjustmentType: 'PercentChangeInCapacity',
        minAdjustmentMagnitude: 1,
        cooldown: SCALE_OUT_COOLDOWN_S,
        metricAggregationType: 'Average',
        stepAdjustments: [{ metricIntervalLowerBound: 0, scalingAdjustment: 50 }],
      },
    });
    new CfnAlarm(this, 'BurstAlarm', {
      alarmDescription: 'Not a page: adds Millrun tasks',
      ...busy,
      unit: 'Percent',
      statistic: 'Average',
      period: 60,
      evaluationPeriods: 1,
      threshold: number(props.burstBusyPercent),
      comparisonOperator: 'GreaterThanOrEqualToThreshold',
      treatMissingData: 'notBreaching',
      alarmActions: [burst.ref],
    });
  }
}
