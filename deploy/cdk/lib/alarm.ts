/** An alarm that tells the fleet's topic when it begins and when it ends. */
import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';

export interface AlarmRule {
  /** What happened and what to do: it stands in the message. */
  description: string;
  metric: IMetric;
  threshold: number;
  /** Minutes in a row; the metric's period is one. */
  minutes: number;
  below?: boolean;
  /** Whether silence is an alarm as well. */
  silence?: boolean;
}

export const MINUTE = Duration.minutes(1);

export function alarm(scope: Construct, id: string, topicArn: string, rule: AlarmRule): Alarm {
  const made = new Alarm(scope, id, {
    alarmDescription: rule.description,
    metric: rule.metric,
    threshold: rule.threshold,
    evaluationPeriods: rule.minutes,
    comparisonOperator: rule.below
      ? ComparisonOperator.LESS_THAN_THRESHOLD
      : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: rule.silence ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
  });
  const action = { bind: () => ({ alarmActionArn: topicArn }) };
  made.addAlarmAction(action);
  made.addOkAction(action);
  return made;
}
