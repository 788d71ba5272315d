import protobuf from 'protobufjs';
import type { RuntimeEvent } from './contract.ts';

/**
 * containerd before 1.7 has no CRI event stream, but its own service on the same socket tells of every task. An empty
 * SubscribeRequest asks for all; the namespace of an envelope tells the pods' containers from others.
 */
export const containerdEventsPath = '/containerd.services.events.v1.Events/Subscribe';

const interesting = new Set(['/tasks/exit', '/tasks/oom', '/tasks/start']);
const envelope = { namespace: 2, topic: 3, event: 4 } as const;
const anyValue = 2;
const containerIdField = 1;

/** Undefined for events that say nothing about a container's life (also the ends of exec'ed processes). */
export function decodeContainerdEvent(bytes: Uint8Array): RuntimeEvent | undefined {
  const fields = lengthDelimited(bytes);
  const text = (field: number): string => Buffer.from(fields.get(field) ?? []).toString('utf8');
  if (text(envelope.namespace) !== 'k8s.io') return undefined;
  const topic = text(envelope.topic);
  if (!interesting.has(topic)) return undefined;
  const any = lengthDelimited(fields.get(envelope.event) ?? new Uint8Array(0));
  const event = lengthDelimited(any.get(anyValue) ?? new Uint8Array(0));
  const containerId = Buffer.from(event.get(containerIdField) ?? []).toString('utf8');
  const processId = Buffer.from(event.get(2) ?? []).toString('utf8');
  if (topic === '/tasks/exit' && processId !== '' && processId !== containerId) return undefined;
  return topic === '/tasks/start' ? { containerId, started: true } : { containerId };
}

/** The last length-delimited value of each field of a protobuf message. */
function lengthDelimited(bytes: Uint8Array): Map<number, Uint8Array> {
  const reader = protobuf.Reader.create(bytes);
  const values = new Map<number, Uint8Array>();
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if ((tag & 7) === 2) values.set(tag >>> 3, reader.bytes());
    else reader.skipType(tag & 7);
  }
  return values;
}
