/** A topic made on purpose, with its partitions and replicas, instead of by the first record that names it. MSK only. */
import { CfnDeletionPolicy, CfnResource } from 'aws-cdk-lib';
import { CfnTopic } from 'aws-cdk-lib/aws-msk';
import { Construct } from 'constructs';
import { number } from './number';

export interface KafkaTopicProps {
  clusterArn: string;
  topic: string;
  /** 1 and more. Consumers of one group share them; they can be added later, but not taken away. */
  partitions: string;
  /** At most the number of brokers; 3 survives the loss of one with acks=all and min.insync.replicas=2. */
  replicas: string;
}

/** The topic stays when its stack goes: records that nobody has read may be in it. */
export function kafkaTopic(scope: Construct, id: string, props: KafkaTopicProps): CfnResource {
  const topic = new CfnTopic(scope, id, {
    clusterArn: props.clusterArn,
    topicName: props.topic,
    partitionCount: number(props.partitions),
    replicationFactor: number(props.replicas),
  });
  topic.cfnOptions.deletionPolicy = CfnDeletionPolicy.RETAIN;
  topic.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
  return topic;
}
