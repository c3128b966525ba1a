/**
 * VPC endpoints for everything that engines, hosts and ECS call, so that none of it goes (and is paid by the byte)
 * through a NAT gateway. Images from another registry than ECR still need one.
 */
import { Aws, Fn, NestedStack } from 'aws-cdk-lib';
import { CfnSecurityGroup, CfnVPCEndpoint } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { accept } from './accept';
import { NOWHERE } from './security-groups';

export interface EndpointsProps {
  vpcId: string;
  /** CIDR block that may call: the VPC's. */
  vpcCidr: string;
  /** Comma list. */
  subnetIds: string;
  /** Comma list: those of the private subnets. */
  routeTableIds: string;
}

const INTERFACES = [
  'autoscaling',
  'ec2',
  'ecr.api',
  'ecr.dkr',
  'ecs',
  'ecs-agent',
  'ecs-telemetry',
  'kinesis-streams',
  'logs',
  'secretsmanager',
  'ssm',
  'ssmmessages',
];

export class Endpoints extends NestedStack {
  constructor(scope: Construct, id: string, props: EndpointsProps) {
    super(scope, id);
    const group = new CfnSecurityGroup(this, 'SecurityGroup', {
      vpcId: props.vpcId,
      groupDescription: 'Millrun VPC endpoints',
      securityGroupIngress: [
        { ipProtocol: 'tcp', fromPort: 443, toPort: 443, cidrIp: props.vpcCidr, description: 'HTTPS from the VPC' },
      ],
      securityGroupEgress: [NOWHERE],
    });
    accept(group, 'AwsSolutions-EC23', "The block is a parameter, which the rule can't read: the VPC's own.");
    // Objects are paid for by request, not by the byte, through a gateway endpoint; the endpoint itself costs nothing.
    new CfnVPCEndpoint(this, 'S3', {
      vpcId: props.vpcId,
      serviceName: `com.amazonaws.${Aws.REGION}.s3`,
      vpcEndpointType: 'Gateway',
      routeTableIds: Fn.split(',', props.routeTableIds),
    });
    for (const service of INTERFACES) {
      new CfnVPCEndpoint(this, service, {
        vpcId: props.vpcId,
        serviceName: `com.amazonaws.${Aws.REGION}.${service}`,
        vpcEndpointType: 'Interface',
        subnetIds: Fn.split(',', props.subnetIds),
        securityGroupIds: [group.attrGroupId],
        privateDnsEnabled: true,
      });
    }
  }
}
