import { rfc3339, type Clock } from '#base';
import type { ServerObjects } from '../contract.ts';
import { put, read } from './put.ts';

const collection = '/apis/networking.k8s.io/v1/servicecidrs';
const name = 'kubernetes';

/** Makes the ServiceCIDR that names the ranges which Services get their addresses from. One that is there stays as it is. */
export async function makeServiceCidr(options: {
  readonly objects: ServerObjects;
  readonly ranges: readonly string[];
  readonly clock: Clock;
}): Promise<void> {
  const { objects, ranges, clock } = options;
  const transport = objects.transport();
  if ((await read(transport, `${collection}/${name}`)) !== undefined) return;
  const cidr = { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name }, spec: { cidrs: ranges } };
  await put(transport, collection, cidr, false);
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: '',
    message: 'Kubernetes default Service CIDR is ready',
    lastTransitionTime: rfc3339(clock.nowMs()),
  };
  await transport.request({
    method: 'PATCH',
    target: `${collection}/${name}/status`,
    headers: { 'content-type': 'application/merge-patch+json' },
    objectBody: { status: { conditions: [ready] } },
    objects: true,
  });
}
