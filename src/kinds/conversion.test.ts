import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cloneObject } from '#machinery';
import { kindOf, sampleObject } from './golden.ts';

test('an event of the new API is stored in its core form, and comes back whole', () => {
  const kind = kindOf('events.k8s.io/v1', 'Event');
  const event = sampleObject({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    action: 'Binding',
    eventTime: '2026-01-01T00:00:00.000001Z',
    note: 'bound',
    reason: 'Scheduled',
    regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
    related: { kind: 'Node', name: 'n' },
    reportingController: 'scheduler',
    reportingInstance: 'scheduler-1',
    series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' },
    type: 'Normal',
    deprecatedCount: 3,
    deprecatedSource: { component: 'x' },
  });
  const stored = kind.toStorage?.(cloneObject(event));
  assert.deepEqual(stored, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: event.metadata,
    action: 'Binding',
    eventTime: '2026-01-01T00:00:00.000001Z',
    message: 'bound',
    reason: 'Scheduled',
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    related: { kind: 'Node', name: 'n' },
    reportingComponent: 'scheduler',
    reportingInstance: 'scheduler-1',
    series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' },
    type: 'Normal',
    count: 3,
    source: { component: 'x' },
  });
  assert.deepEqual(stored && kind.fromStorage?.(cloneObject(stored)), event);
});

const autoscaler = sampleObject({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { annotations: { mine: '1' } },
  spec: {
    minReplicas: 2,
    maxReplicas: 9,
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
    metrics: [
      { type: 'Pods', pods: { metric: { name: 'qps' }, target: { type: 'AverageValue', averageValue: '10' } } },
      {
        type: 'Object',
        object: {
          describedObject: { kind: 'Service', name: 's' },
          metric: { name: 'm', selector: { matchLabels: { a: 'b' } } },
          target: { type: 'Value', value: '7' },
        },
      },
      { type: 'External', external: { metric: { name: 'q' }, target: { type: 'AverageValue', averageValue: '5' } } },
      { type: 'Resource', resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 70 } } },
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
    ],
    behavior: { scaleDown: { selectPolicy: 'Min', policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }] } },
  },
  status: {
    currentReplicas: 3,
    desiredReplicas: 4,
    currentMetrics: [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 55, averageValue: '110m' } } },
    ],
    conditions: [{ type: 'AbleToScale', status: 'True' }],
  },
});

test('an autoscaler survives the trip through v1', () => {
  const kind = kindOf('autoscaling/v1', 'HorizontalPodAutoscaler');
  const old = kind.fromStorage?.(cloneObject(autoscaler));
  assert.equal(old?.apiVersion, 'autoscaling/v1');
  assert.deepEqual(old?.['spec'], {
    minReplicas: 2,
    maxReplicas: 9,
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
    targetCPUUtilizationPercentage: 60,
  });
  assert.deepEqual(old?.['status'], { currentReplicas: 3, desiredReplicas: 4, currentCPUUtilizationPercentage: 55 });
  const annotations = old?.metadata.annotations ?? {};
  assert.deepEqual(Object.keys(annotations).sort(), [
    'autoscaling.alpha.kubernetes.io/behavior',
    'autoscaling.alpha.kubernetes.io/conditions',
    'autoscaling.alpha.kubernetes.io/current-metrics',
    'autoscaling.alpha.kubernetes.io/metrics',
    'mine',
  ]);
  assert.equal(
    annotations['autoscaling.alpha.kubernetes.io/behavior'],
    '{"ScaleUp":null,"ScaleDown":{"SelectPolicy":"Min","Policies":[{"Type":"Percent","Value":10,"PeriodSeconds":60}]}}',
  );
  assert.deepEqual(old && kind.toStorage?.(cloneObject(old)), autoscaler);
});

test('a v1 autoscaler without a metric aims at 80 % of CPU', () => {
  const kind = kindOf('autoscaling/v1', 'HorizontalPodAutoscaler');
  const stored = kind.toStorage?.(
    sampleObject({ apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler', spec: { maxReplicas: 2 } }),
  );
  assert.deepEqual(stored?.['spec'], {
    maxReplicas: 2,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }],
  });
});

test('annotations that are not JSON are dropped, not believed', () => {
  const kind = kindOf('autoscaling/v1', 'HorizontalPodAutoscaler');
  const stored = kind.toStorage?.(
    sampleObject({
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: {
        annotations: {
          'autoscaling.alpha.kubernetes.io/metrics': '[1]',
          'autoscaling.alpha.kubernetes.io/behavior': '{',
          'autoscaling.alpha.kubernetes.io/conditions': '"x"',
        },
      },
      spec: { maxReplicas: 2, targetCPUUtilizationPercentage: 50 },
    }),
  );
  assert.deepEqual(stored?.['spec'], {
    maxReplicas: 2,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }],
  });
  assert.equal(stored?.metadata.annotations, undefined);
});
