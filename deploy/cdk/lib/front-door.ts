/**
 * Everything that outlives a change of sink or compute: load balancer, listeners, target group. No switch of these
 * props replaces the load balancer; HTTPS, authentication, access logs and the domain are all changed in place.
 *
 *   :443 ─┬─ /collect, /ping  ─▶ (OIDC: deny) ─▶ target group ─▶ tasks
 *         ├─ /login           ─▶ OIDC: authenticate           (only with authentication)
 *         └─ anything else    ─▶ 403
 *   :80  ─┬─ /collect, /ping  ─▶ target group: without HTTPS to be served, with it to be answered 308 by the engine,
 *         │                      since the load balancer's own 301 or 302 would turn a POST into an empty GET
 *         └─ anything else    ─▶ 403
 *
 * Which apps may send is the engine's business (route.<name>.app_ids), so two rules do for any number of apps.
 */
import { CfnResource, Fn } from 'aws-cdk-lib';
import { CfnListener, CfnListenerProps, CfnLoadBalancer, CfnTargetGroup } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import { accept } from './accept';
import { ALB_IDLE_TIMEOUT_S, DATA_PORT, DEREGISTRATION_DELAY_S, HEALTH_PATH } from './engine';
import { ListenerRules } from './listener-rules';
import { SecurityGroups } from './security-groups';
import { Switch, equal, not, optional, pickText, when } from './switch';

/** Policies that allow TLS 1.2 and 1.3 with forward secrecy only. */
export const TLS_POLICY = 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06';

export interface FrontDoorProps {
  vpcId: string;
  /** Comma list. The same as `privateSubnetIds` makes an internal load balancer. */
  publicSubnetIds: string;
  privateSubnetIds: string;
  https: Switch;
  certificateArn: string;
  /** Host that requests must name, or "": any. */
  domainName: string;
  /** Exact path of the events. */
  path: string;
  authentication: Switch;
  authenticationSecretArn: string;
  authenticationSecretVersion: string;
  /** Refuses everything with 400: events of SDKs are expected, but no app is there. */
  closed: Switch;
  accessLogs: Switch;
  accessLogBucket: string;
  /** With a final slash. */
  accessLogPrefix: string;
}

export class FrontDoor extends Construct {
  readonly loadBalancer: CfnLoadBalancer;
  readonly targetGroup: CfnTargetGroup;
  readonly securityGroups: SecurityGroups;
  /** A service can't start before a listener sends it requests. */
  readonly rule: CfnResource;

  constructor(scope: Construct, id: string, props: FrontDoorProps) {
    super(scope, id);
    this.securityGroups = new SecurityGroups(this, 'SecurityGroups', props);
    const internal = equal('IsInternal', props.publicSubnetIds, props.privateSubnetIds);
    this.loadBalancer = new CfnLoadBalancer(this, 'LoadBalancer', {
      type: 'application',
      ipAddressType: 'ipv4',
      scheme: pickText(this, internal, 'internal', 'internet-facing'),
      subnets: Fn.split(',', props.publicSubnetIds),
      securityGroups: [this.securityGroups.alb.attrGroupId],
      loadBalancerAttributes: attributes(this, props),
    });
    accept(this.loadBalancer, 'AwsSolutions-ELB2', 'Access logs are a switch of the operator, off by default as in the replaced system.');
    this.targetGroup = new CfnTargetGroup(this, 'Targets', {
      vpcId: props.vpcId,
      protocol: 'HTTP',
      protocolVersion: 'HTTP1',
      port: DATA_PORT,
      targetType: 'ip',
      healthCheckEnabled: true,
      healthCheckPath: HEALTH_PATH,
      healthCheckProtocol: 'HTTP',
      healthCheckIntervalSeconds: 10,
      healthCheckTimeoutSeconds: 6,
      healthyThresholdCount: 2,
      // An engine that hangs is out after 30 s; the replaced system took 50.
      unhealthyThresholdCount: 3,
      matcher: { httpCode: '200' },
      targetGroupAttributes: [
        { key: 'deregistration_delay.timeout_seconds', value: String(DEREGISTRATION_DELAY_S) },
        // A host that refuses at once answers fastest: "least outstanding requests" would send it the most.
        { key: 'load_balancing.algorithm.type', value: 'round_robin' },
        { key: 'stickiness.enabled', value: 'false' },
      ],
    });
    const http = this.listener('Http', { port: 80, protocol: 'HTTP' });
    const forward = new ListenerRules(this, 'HttpRules', {
      ...props,
      listenerArn: http.ref,
      targetGroupArn: this.targetGroup.ref,
      // OIDC needs HTTPS. With HTTPS the engine answers these 308 whatever they carry.
      authentication: false,
      hosted: not('HasDomain', equal('HasNoDomain', props.domainName, '')),
    });
    this.rule = forward.events;
    when(this, props.https, () => {
      const https = this.listener('Https', {
        port: 443,
        protocol: 'HTTPS',
        certificates: [{ certificateArn: props.certificateArn }],
        sslPolicy: TLS_POLICY,
      });
      new ListenerRules(this, 'HttpsRules', {
        ...props,
        listenerArn: https.ref,
        targetGroupArn: this.targetGroup.ref,
        only: props.https,
        // A certificate is for a domain.
        hosted: true,
      });
      return [https];
    });
  }

  /** Host that clients call when there is neither a domain nor an accelerator. */
  get dnsName(): string {
    return this.loadBalancer.attrDnsName;
  }

  private listener(id: string, props: Omit<CfnListenerProps, 'loadBalancerArn' | 'defaultActions'>): CfnListener {
    return new CfnListener(this, id, {
      loadBalancerArn: this.loadBalancer.ref,
      defaultActions: [
        {
          type: 'fixed-response',
          fixedResponseConfig: {
            statusCode: '403',
            contentType: 'text/plain',
            messageBody: 'DefaultAction: Invalid request',
          },
        },
      ],
      ...props,
    });
  }
}

function attributes(scope: Construct, props: FrontDoorProps): CfnLoadBalancer.LoadBalancerAttributeProperty[] {
  const always = {
    'idle_timeout.timeout_seconds': String(ALB_IDLE_TIMEOUT_S),
    'routing.http.drop_invalid_header_fields.enabled': 'true',
    'routing.http.desync_mitigation_mode': 'defensive',
    'routing.http2.enabled': 'true',
    // As in the replaced system: a stack must be deletable.
    'deletion_protection.enabled': 'false',
  };
  const logs = {
    'access_logs.s3.bucket': props.accessLogBucket,
    'access_logs.s3.prefix': Fn.join('', [props.accessLogPrefix, 'alb-log']),
  };
  return [
    ...Object.entries(always).map(([key, value]) => ({ key, value })),
    { key: 'access_logs.s3.enabled', value: pickText(scope, props.accessLogs, 'true', 'false') },
    ...Object.entries(logs).flatMap(([key, value]) => optional(scope, props.accessLogs, { key, value })),
  ];
}
