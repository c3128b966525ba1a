/** Millrun on AWS. `Ingestion` is the way in; the parts can be used by themselves. */
export { Ingestion } from './ingestion';
export * from './props';
export { HOST_SIZES } from './host-size';
export { KafkaToS3, KafkaToS3Props } from './kafka-to-s3';
export { FunctionCode } from './kinesis-to-s3';
export { ConsoleStack, ConsoleStackProps } from './console/stack';
export { ConnectorStack } from './console/connector-stack';
