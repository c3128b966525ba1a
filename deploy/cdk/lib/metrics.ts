/** The CloudWatch metrics that alarms and the dashboard share, each for one minute. */
import { Duration } from 'aws-cdk-lib';
import { MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { METRICS, metricsNamespace } from './engine';

export interface Watched {
  projectId: string;
  clusterName: string;
  serviceName: string;
  /** The Auto Scaling group, on EC2. */
  hostGroupName?: string;
  /** With a journal: bytes that it may take. */
  journalBytesMax?: string;
  /** `app/<name>/<id>` */
  loadBalancerName: string;
  /** `targetgroup/<name>/<id>` */
  targetGroupName: string;
}

const period = Duration.minutes(1);

export class FleetMetrics {
  constructor(private readonly watched: Watched) {}

  engine(name: keyof typeof METRICS, statistic: string, label?: string): Metric {
    return new Metric({
      namespace: metricsNamespace(this.watched.projectId),
      metricName: METRICS[name],
      statistic,
      period,
      label: label ?? `${METRICS[name]} ${statistic}`,
    });
  }

  loadBalancer(metricName: string, statistic = 'Sum'): Metric {
    return new Metric({
      namespace: 'AWS/ApplicationELB',
      metricName,
      statistic,
      period,
      label: `${metricName} ${statistic}`,
      dimensionsMap: { LoadBalancer: this.watched.loadBalancerName },
    });
  }

  targets(metricName: string, statistic: string): Metric {
    return new Metric({
      namespace: 'AWS/ApplicationELB',
      metricName,
      statistic,
      period,
      label: `${metricName} ${statistic}`,
      dimensionsMap: { LoadBalancer: this.watched.loadBalancerName, TargetGroup: this.watched.targetGroupName },
    });
  }

  /** Percent of the requests that ended in a 5xx of the engine or of the load balancer itself. */
  serverErrorPercent(): MathExpression {
    return new MathExpression({
      expression: '100 * (FILL(engine, 0) + FILL(own, 0)) / requests',
      label: '5xx percent',
      period,
      usingMetrics: {
        engine: this.loadBalancer('HTTPCode_Target_5XX_Count'),
        own: this.loadBalancer('HTTPCode_ELB_5XX_Count'),
        requests: this.loadBalancer('RequestCount'),
      },
    });
  }

  insights(metricName: string, statistic: string): Metric {
    return new Metric({
      namespace: 'ECS/ContainerInsights',
      metricName,
      statistic,
      period,
      label: metricName,
      dimensionsMap: { ClusterName: this.watched.clusterName, ServiceName: this.watched.serviceName },
    });
  }

  service(metricName: string, statistic: string): Metric {
    return new Metric({
      namespace: 'AWS/ECS',
      metricName,
      statistic,
      period,
      label: `${metricName} ${statistic}`,
      dimensionsMap: { ClusterName: this.watched.clusterName, ServiceName: this.watched.serviceName },
    });
  }

  hosts(metricName: string): Metric {
    return new Metric({
      namespace: 'AWS/AutoScaling',
      metricName,
      statistic: 'Average',
      period,
      label: metricName,
      dimensionsMap: { AutoScalingGroupName: this.watched.hostGroupName ?? '' },
    });
  }

  /** How full the fullest journal is. */
  journalPercent(): MathExpression {
    return new MathExpression({
      expression: `100 * bytes / ${this.watched.journalBytesMax}`,
      label: 'journal, percent',
      period,
      usingMetrics: { bytes: this.engine('journalBytes', 'Maximum') },
    });
  }

  /** Hosts that the warm pool should hold and does not. */
  warmPoolMissing(): MathExpression {
    return new MathExpression({
      expression: 'wanted - warmed',
      label: 'missing in the warm pool',
      period,
      usingMetrics: { wanted: this.hosts('WarmPoolDesiredCapacity'), warmed: this.hosts('WarmPoolWarmedCapacity') },
    });
  }
}
