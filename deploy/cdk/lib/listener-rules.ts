/** The rules of one listener. Priorities leave room in front for an operator's own. */
import { Fn } from 'aws-cdk-lib';
import { CfnListenerRule } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import { PING_PATH } from './engine';
import { Switch, and, optional, pickProperties, when } from './switch';

export interface ListenerRulesProps {
  listenerArn: string;
  targetGroupArn: string;
  path: string;
  domainName: string;
  authentication: Switch;
  authenticationSecretArn: string;
  authenticationSecretVersion: string;
  closed: Switch;
  /** Whether requests must name the domain. */
  hosted: Switch;
  /** Whether the listener exists. */
  only?: Switch;
}

export class ListenerRules extends Construct {
  /** Sends events to the engines. */
  readonly events: CfnListenerRule;

  constructor(scope: Construct, id: string, private readonly props: ListenerRulesProps) {
    super(scope, id);
    const exists = props.only ?? true;
    this.events = this.data('Events', 110, props.path);
    when(this, this.both('Closed', exists, props.closed), () => [this.closed()]);
    when(this, exists, () => [this.events, this.data('Ping', 120, PING_PATH)]);
    when(this, this.both('Login', exists, props.authentication), () => [this.login()]);
  }

  private both(what: string, exists: Switch, also: Switch): Switch {
    return and(`${this.node.id}${what}`, exists, also);
  }

  private closed(): CfnListenerRule {
    return this.rule('Closed', 100, '/*', [text('400', 'Configuration invalid!')]);
  }

  /** Authentication covers every rule that reaches an engine, whoever wrote the SDK, from the moment it is on. */
  private data(id: string, priority: number, path: string): CfnListenerRule {
    const forward = (order: number) => ({ type: 'forward', targetGroupArn: this.props.targetGroupArn, order });
    const actions = pickProperties<CfnListenerRule.ActionProperty[]>(
      this,
      this.props.authentication,
      [this.oidc('deny', 1), forward(2)],
      [forward(1)],
    );
    return this.rule(id, priority, path, actions);
  }

  /** Where a browser gets the session cookie that SDKs then send. */
  private login(): CfnListenerRule {
    return this.rule('Login', 130, '/login', [this.oidc('authenticate', 1), { ...text('200', 'Authenticated'), order: 2 }]);
  }

  private rule(id: string, priority: number, path: string, actions: CfnListenerRule.ActionProperty[]): CfnListenerRule {
    const host = { field: 'host-header', hostHeaderConfig: { values: [this.props.domainName] } };
    const conditions: CfnListenerRule.RuleConditionProperty[] = [
      { field: 'path-pattern', pathPatternConfig: { values: [path] } },
      ...optional<CfnListenerRule.RuleConditionProperty>(this, this.props.hosted, host),
    ];
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
