/** What wakes somebody: each alarm says in its description what it means and where to look. */
import { Construct } from 'constructs';
import { alarm } from './alarm';
import { FleetMetrics, Watched } from './metrics';
import { number } from './number';

export interface AlarmsProps extends Watched {
  alarmTopicArn: string;
  taskMin: string;
  /** Seconds. */
  latencyP99MaxS: string;
}

export class Alarms extends Construct {
  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const metrics = new FleetMetrics(props);
    const topic = props.alarmTopicArn;
    alarm(this, 'ServerErrors', topic, {
      description: 'More than 1 % of the requests get a 5xx. SDKs keep their events and try again. See errors by reason and sink_faults.',
      metric: metrics.serverErrorPercent(),
      threshold: 1,
      minutes: 3,
    });
    alarm(this, 'Latency', topic, {
      description: 'The slowest 1 % of the requests take too long. SDKs give up after 5 to 15 s and send twice. See busy, then the sink.',
      metric: metrics.targets('TargetResponseTime', 'p99'),
      threshold: number(props.latencyP99MaxS),
      minutes: 5,
    });
    alarm(this, 'SinkFaults', topic, {
      description: 'Attempts at the sink fail. Answers are 503 or the journal fills, until the sink takes records again.',
      metric: metrics.engine('sinkFaults', 'Sum'),
      threshold: 1,
      minutes: 3,
    });
    alarm(this, 'NoTargets', topic, {
      description: 'No engine passes the health check of the load balancer: every request is answered 503.',
      metric: metrics.targets('HealthyHostCount', 'Minimum'),
      threshold: 1,
      minutes: 1,
      below: true,
      silence: true,
    });
    alarm(this, 'Tasks', topic, {
      description: 'Fewer engines run than ServerMin. See the events of the ECS service.',
      metric: metrics.insights('RunningTaskCount', 'Minimum'),
      threshold: number(props.taskMin),
      minutes: 5,
      below: true,
      silence: true,
    });
    alarm(this, 'PendingTasks', topic, {
      description: 'Engines wait for a host or an image. See the activity of the Auto Scaling group, and its HostMax.',
      metric: metrics.insights('PendingTaskCount', 'Minimum'),
      threshold: 1,
      minutes: 10,
    });
    alarm(this, 'Busy', topic, {
      description: 'The busiest shards work all the time although the fleet has scaled out: raise ServerMax.',
      metric: metrics.engine('busy', 'Average'),
      threshold: 90,
      minutes: 10,
    });
    this.journal(metrics, props);
    if (props.hostGroupName) {
      alarm(this, 'WarmPool', topic, {
        description: 'The warm pool lacks hosts: the next burst waits for a cold start. See the Auto Scaling group.',
        metric: metrics.warmPoolMissing(),
        threshold: 1,
        minutes: 15,
      });
    }
  }

  private journal(metrics: FleetMetrics, props: AlarmsProps): void {
    if (props.journalBytesMax === undefined) {
      return;
    }
    alarm(this, 'JournalBytes', props.alarmTopicArn, {
      description: 'A journal is 70 % full. When it is full its host answers 503. The sink is down or too slow.',
      metric: metrics.journalPercent(),
      threshold: 70,
      minutes: 3,
    });
    alarm(this, 'JournalAge', props.alarmTopicArn, {
      description: 'Records have waited in a journal for an hour: they are safe only as long as its disk is. See sink_faults.',
      metric: metrics.engine('journalAge', 'Maximum'),
      threshold: 3600_000,
      minutes: 5,
    });
  }
}
