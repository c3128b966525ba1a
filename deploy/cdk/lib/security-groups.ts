/**
 * Who may talk to whom. The load balancer is open to the world on its listeners and reaches only the engines; an
 * engine is reached only by the load balancer.
 */
import { CfnSecurityGroup, CfnSecurityGroupEgress, CfnSecurityGroupIngress } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { accept } from './accept';
import { DATA_PORT } from './engine';
import { Switch, when } from './switch';

export interface SecurityGroupsProps {
  vpcId: string;
  https: Switch;
  authentication: Switch;
}

export class SecurityGroups extends Construct {
  /** Of the load balancer. */
  readonly alb: CfnSecurityGroup;
  /** Of the engine's tasks. */
  readonly engine: CfnSecurityGroup;

  constructor(scope: Construct, id: string, props: SecurityGroupsProps) {
    super(scope, id);
    this.alb = new CfnSecurityGroup(this, 'Alb', {
      vpcId: props.vpcId,
      groupDescription: 'Millrun load balancer',
      securityGroupIngress: world(80),
      // Without this, CloudFormation would allow everything out.
      securityGroupEgress: [NOWHERE],
    });
    this.engine = new CfnSecurityGroup(this, 'Engine', {
      vpcId: props.vpcId,
      groupDescription: 'Millrun engines',
      securityGroupEgress: [{ ipProtocol: 'tcp', fromPort: 443, toPort: 443, cidrIp: '0.0.0.0/0', description: 'AWS APIs' }],
    });
    accept(this, 'AwsSolutions-EC23', 'SDKs on the internet are the clients: ports 80 and 443 of the load balancer are for everyone.');
    when(this, props.https, () =>
      world(443).map(
        (rule, index) => new CfnSecurityGroupIngress(this, `Https${index}`, { groupId: this.alb.attrGroupId, ...rule }),
      ),
    );
    const between = { ipProtocol: 'tcp', fromPort: DATA_PORT, toPort: DATA_PORT };
    new CfnSecurityGroupEgress(this, 'AlbToEngine', {
      groupId: this.alb.attrGroupId,
      destinationSecurityGroupId: this.engine.attrGroupId,
      description: 'Requests and health checks',
      ...between,
    });
    new CfnSecurityGroupIngress(this, 'EngineFromAlb', {
      groupId: this.engine.attrGroupId,
      sourceSecurityGroupId: this.alb.attrGroupId,
      description: 'Requests and health checks',
      ...between,
    });
    // The load balancer itself talks to the identity provider's token and user endpoints.
    when(this, props.authentication, () => [
      new CfnSecurityGroupEgress(this, 'AlbToIdentityProvider', {
        groupId: this.alb.attrGroupId,
        ipProtocol: 'tcp',
        fromPort: 443,
        toPort: 443,
        cidrIp: '0.0.0.0/0',
        description: 'OIDC endpoints',
      }),
    ]);
  }
}

/** A group without any egress rule gets one for everything; this one matches nothing that is ever sent. */
export const NOWHERE = {
  ipProtocol: 'icmp',
  fromPort: 252,
  toPort: 86,
  cidrIp: '255.255.255.255/32',
  description: 'Nothing',
};

function world(port: number) {
  const rule = { ipProtocol: 'tcp', fromPort: port, toPort: port };
  return [
    { ...rule, cidrIp: '0.0.0.0/0', description: `Anyone, IPv4, ${port}` },
    { ...rule, cidrIpv6: '::/0', description: `Anyone, IPv6, ${port}` },
  ];
}
