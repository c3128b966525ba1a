/** One page for a fleet: load, answers, sink, capacity. */
import { Dashboard as CloudWatchDashboard, GraphWidget, IMetric, IWidget } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { FleetMetrics, Watched } from './metrics';

export class Dashboard extends Construct {
  constructor(scope: Construct, id: string, watched: Watched) {
    super(scope, id);
    const m = new FleetMetrics(watched);
    const rows: IWidget[][] = [
      [
        graph('Requests a minute', [m.loadBalancer('RequestCount'), m.engine('requests', 'Sum', 'counted by the engines')]),
        graph('Answers that are not 200', [
          m.loadBalancer('HTTPCode_Target_4XX_Count'),
          m.loadBalancer('HTTPCode_Target_5XX_Count'),
          m.loadBalancer('HTTPCode_ELB_4XX_Count'),
          m.loadBalancer('HTTPCode_ELB_5XX_Count'),
          m.engine('errors', 'Sum'),
        ]),
        graph('Response time (s)', [
          m.targets('TargetResponseTime', 'p50'),
          m.targets('TargetResponseTime', 'p99'),
          m.targets('TargetResponseTime', 'p99.9'),
        ]),
      ],
      [
        graph('Response time seen by the engines (ms)', [m.engine('latency', 'p50'), m.engine('latency', 'p99')]),
        graph('Failed attempts at the sink', [m.engine('sinkFaults', 'Sum')]),
        ...(watched.journalBytesMax === undefined
          ? []
          : [
              graph('Journal: bytes, and age (ms, right)', [m.engine('journalBytes', 'Maximum')], [
                m.engine('journalAge', 'Maximum'),
              ]),
            ]),
      ],
      [
        graph('Busy (percent)', [m.engine('busy', 'Average'), m.engine('busy', 'Maximum')]),
        graph('CPU and memory (percent)', [
          m.service('CPUUtilization', 'Average'),
          m.service('CPUUtilization', 'Maximum'),
          m.service('MemoryUtilization', 'Maximum'),
        ]),
        graph('Tasks', [
          m.insights('DesiredTaskCount', 'Average'),
          m.insights('RunningTaskCount', 'Average'),
          m.insights('PendingTaskCount', 'Average'),
          m.targets('HealthyHostCount', 'Minimum'),
        ]),
        ...(watched.hostGroupName
          ? [
              graph('Hosts', [
                m.hosts('GroupInServiceInstances'),
                m.hosts('GroupTerminatingInstances'),
                m.hosts('WarmPoolWarmedCapacity'),
                m.hosts('WarmPoolDesiredCapacity'),
              ]),
            ]
          : []),
      ],
    ];
    new CloudWatchDashboard(this, 'Dashboard', { widgets: rows });
  }
}

function graph(title: string, left: IMetric[], right?: IMetric[]): GraphWidget {
  return new GraphWidget({ title, left, right, width: 6, height: 6 });
}
