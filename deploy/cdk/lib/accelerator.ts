/** Global Accelerator in front of the load balancer: two fixed addresses, and AWS's network from the nearest edge. */
import { Aws, CfnResource, Fn, Stack } from 'aws-cdk-lib';
import { CfnAccelerator, CfnEndpointGroup, CfnListener } from 'aws-cdk-lib/aws-globalaccelerator';
import { Construct } from 'constructs';
import { Switch, pickProperties, when } from './switch';

export interface AcceleratorProps {
  /** Not in China's regions, which have no Global Accelerator. */
  enabled: Switch;
  https: Switch;
  loadBalancerArn: string;
}

export class Accelerator extends Construct {
  readonly accelerator?: CfnAccelerator;

  constructor(scope: Construct, id: string, props: AcceleratorProps) {
    super(scope, id);
    const made = when(this, props.enabled, (): CfnResource[] => {
      // A name is required and has at most 64 characters, which a stack's name may exceed: so its id.
      const stackId = Fn.select(2, Fn.split('/', Stack.of(this).stackId));
      const accelerator = new CfnAccelerator(this, 'Accelerator', { name: Fn.join('-', ['millrun', stackId]), enabled: true });
      const port = (number: number) => ({ fromPort: number, toPort: number });
      const listener = new CfnListener(this, 'Listener', {
        acceleratorArn: accelerator.attrAcceleratorArn,
        protocol: 'TCP',
        portRanges: pickProperties(this, props.https, [port(80), port(443)], [port(80)]),
      });
      const group = new CfnEndpointGroup(this, 'Endpoints', {
        listenerArn: listener.attrListenerArn,
        endpointGroupRegion: Aws.REGION,
        endpointConfigurations: [{ endpointId: props.loadBalancerArn, clientIpPreservationEnabled: true }],
      });
      return [accelerator, listener, group];
    });
    this.accelerator = made[0] as CfnAccelerator | undefined;
  }
}
