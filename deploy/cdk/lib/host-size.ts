/**
 * Instance types that a fleet may use, with what a task may take of them: all CPUs, and the memory that the system, the
 * ECS agent and Docker leave. One engine fills a host.
 */
import { CfnMapping, Fn, Stack, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { Switch, equal } from './switch';

interface Size {
  /** CPU units, 1024 for each vCPU. */
  Cpu: string;
  /** MiB that the container may use at most. */
  Memory: string;
  Architecture: 'X86_64' | 'ARM64';
}

/** vCPUs and MiB of the sizes; C instances have 2 GiB for each vCPU. */
const SIZES: Record<string, [number, number]> = {
  large: [2, 3072],
  xlarge: [4, 6656],
  '2xlarge': [8, 14336],
  '4xlarge': [16, 29696],
  '8xlarge': [32, 60416],
};

const FAMILIES: Record<string, Size['Architecture']> = { c6i: 'X86_64', c7i: 'X86_64', c6g: 'ARM64', c7g: 'ARM64', c8g: 'ARM64' };

/** Every allowed instance type and its size. */
export const HOST_SIZES: Record<string, Size> = Object.fromEntries(
  Object.entries(FAMILIES).flatMap(([family, architecture]) =>
    Object.entries(SIZES).map(([size, [vcpus, memory]]): [string, Size] => [
      `${family}.${size}`,
      { Cpu: String(vcpus * 1024), Memory: String(memory), Architecture: architecture },
    ]),
  ),
);

export class HostSize {
  constructor(
    private readonly scope: Construct,
    private readonly instanceType: string,
  ) {
    if (!Token.isUnresolved(instanceType) && !(instanceType in HOST_SIZES)) {
      throw new Error(`instance type "${instanceType}" is none of ${Object.keys(HOST_SIZES).join(', ')}`);
    }
  }

  get cpu(): string {
    return this.look('Cpu');
  }

  get memoryMiB(): string {
    return this.look('Memory');
  }

  get architecture(): string {
    return this.look('Architecture');
  }

  get arm(): Switch {
    return equal('HostIsArm64', this.architecture, 'ARM64');
  }

  private look(key: keyof Size): string {
    const size = HOST_SIZES[this.instanceType];
    if (size) {
      return size[key];
    }
    const stack = Stack.of(this.scope);
    const mapping =
      (stack.node.tryFindChild('HostSizes') as CfnMapping | undefined) ??
      new CfnMapping(stack, 'HostSizes', {
        mapping: Object.fromEntries(Object.entries(HOST_SIZES).map(([type, value]) => [type, { ...value }])),
      });
    return Fn.findInMap(mapping.logicalId, this.instanceType, key);
  }
}
