/** The rules of one listener. Priorities leave room in front for an operator's own. */
import { CfnResource, Fn } from 'aws-cdk-lib';
import { CfnListenerRule } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import { PING_PATH } from './engine';
import { Switch, and, equal, not, pick, when } from './switch';

export interface ListenerRulesProps {
  listenerArn: string;
  targetGroupArn: string;
  path: string;
  domainName: string;
  authentication: Switch;
  authenticationSecretArn: string;
  authenticationSecretVersion: string;
  closed: Switch;
  /** Whether the listener exists. */
  only?: Switch;
}

export class ListenerRules extends Construct {
  readonly rules: CfnResource[] = [];

  constructor(scope: Construct, id: string, private readonly props: ListenerRulesProps) {
    super(scope, id);
    const exists = props.only ?? true;
    this.rules.push(...when(this, this.both('Closed', exists, props.closed), () => [this.closed()]));
    this.rules.push(...when(this, exists, () => [this.data('Events', 110, props.path), this.data('Ping', 120, PING_PATH)]));
    this.rules.push(...when(this, this.both('Login', exists, props.authentication), () => [this.login()]));
  }

  private both(what: string, exists: Switch, also: Switch): Switch {
    return and(`${this.node.id}${what}`, exists, also);
  }

  private closed(): CfnListenerRule {
    return this.rule('Closed', 100, '/*', [text('400', 'Configuration invalid!')]);
  }

  /** Authentication covers every rule that reaches an engine, whoever wrote the SDK, from the moment it is on. */
  private data(id: string, priority: number, path: string): CfnListenerRule {
    const forward = (order?: number) => ({ type: 'forward', targetGroupArn: this.props.targetGroupArn, order });
    const actions = pick<unknown>(
      this,
      this.props.authentication,
      [this.oidc('deny', 1), forward(2)],
      [forward()],
    ) as CfnListenerRule.ActionProperty[];
    return this.rule(id, priority, path, actions);
  }

  /** Where a browser gets the session cookie that SDKs then send. */
  private login(): CfnListenerRule {
    return this.rule('Login', 130, '/login', [this.oidc('authenticate', 1), { ...text('200', 'Authenticated'), order: 2 }]);
  }

  private rule(id: string, priority: number, path: string, actions: CfnListenerRule.ActionProperty[]): CfnListenerRule {
    const hosted = not('HasDomain', equal('HasNoDomain', this.props.domainName, ''));
    const conditions: CfnListenerRule.RuleConditionProperty[] = [
      { field: 'path-pattern', pathPatternConfig: { values: [path] } },
    ];
    if (hosted !== false) {
      conditions.push(
        pick<any>(
          this,
          hosted,
          { field: 'host-header', hostHeaderConfig: { values: [this.props.domainName] } },
          { Ref: 'AWS::NoValue' },
        ),
      );
    }
    return new CfnListenerRule(this, id, { listenerArn: this.props.listenerArn, priority, conditions, actions });
  }

  private oidc(unauthenticated: 'deny' | 'authenticate', order: number): CfnListenerRule.ActionProperty {
    const secret = (key: string) =>
      Fn.join('', [
        '{{resolve:secretsmanager:',
        this.props.authenticationSecretArn,
        `:SecretString:${key}::`,
        this.props.authenticationSecretVersion,
        '}}',
      ]);
    return {
      type: 'authenticate-oidc',
      order,
      authenticateOidcConfig: {
        issuer: secret('issuer'),
        userInfoEndpoint: secret('userEndpoint'),
        authorizationEndpoint: secret('authorizationEndpoint'),
        tokenEndpoint: secret('tokenEndpoint'),
        clientId: secret('appClientId'),
        clientSecret: secret('appClientSecret'),
        onUnauthenticatedRequest: unauthenticated,
      },
    };
  }
}

function text(statusCode: string, messageBody: string): CfnListenerRule.ActionProperty {
  return { type: 'fixed-response', fixedResponseConfig: { statusCode, contentType: 'text/plain', messageBody } };
}
