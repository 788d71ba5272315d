import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePrometheusText } from '#testkit';
import { MetricRegistry } from './metrics.ts';

const read = (registry: MetricRegistry) => parsePrometheusText(`${registry.lines().join('\n')}\n`);

describe('a registry of metrics', () => {
  it('writes what a strict reader takes, whatever the labels hold', () => {
    const registry = new MetricRegistry();
    const requests = registry.counter({ name: 'asked_total', help: 'Two\nlines, a \\ too.', labels: ['who', 'code'] });
    requests.of('a"b\\c\nd', '200').value += 2;
    requests.add(3, 'x', '500');
    const times = registry.histogram({ name: 'took_seconds', help: 'h', labels: ['who'], buckets: [0.1, 1] });
    for (const value of [0.05, 0.1, 0.5, 7]) times.observe(value, 'x');
    registry.gauge({ name: 'now', help: 'h' }).set(0.1 + 0.2);
    registry.counter({ name: 'unused_total', help: 'nothing counted yet', labels: ['a'] });
    const families = read(registry);
    assert.deepEqual([...families.keys()], ['asked_total', 'now', 'took_seconds']);
    assert.deepEqual(families.get('asked_total')?.samples, [
      { name: 'asked_total', labels: { who: 'a"b\\c\nd', code: '200' }, value: 2 },
      { name: 'asked_total', labels: { who: 'x', code: '500' }, value: 3 },
    ]);
    assert.deepEqual(families.get('now')?.samples[0]?.value, 0.3);
    assert.deepEqual(
      families.get('took_seconds')?.samples.map(({ labels, value }) => [labels.le, value]),
      [
        ['0.1', 2],
        ['1', 3],
        ['+Inf', 4],
        [undefined, 7.65],
        [undefined, 4],
      ],
    );
  });

  it('is bounded: what comes after counts under other', () => {
    const registry = new MetricRegistry();
    const seen = registry.counter({ name: 'seen_total', help: 'h', labels: ['a', 'b'], mostSeries: 10 });
    for (let i = 0; i < 1000; i++) seen.of(`${i}`, 'x').value++;
    const samples = read(registry).get('seen_total')?.samples ?? [];
    assert.equal(samples.length, 11);
    assert.equal(samples.find(({ labels }) => labels.a === 'other')?.value, 990);
    assert.equal(
      samples.reduce((sum, { value }) => sum + value, 0),
      1000,
    );
  });

  it('asks for gauges when it is read, until told not to', () => {
    const registry = new MetricRegistry();
    const gauge = registry.gauge({ name: 'g', help: 'h' });
    assert.equal(registry.gauge({ name: 'g', help: 'h' }), gauge);
    let value = 1;
    const end = registry.onRead(() => gauge.set(value++));
    assert.equal(read(registry).get('g')?.samples[0]?.value, 1);
    assert.equal(read(registry).get('g')?.samples[0]?.value, 2);
    end();
    assert.equal(read(registry).get('g')?.samples[0]?.value, 2);
  });
});

describe('the strict reader', () => {
  it('refuses what is not the format', () => {
    const head = '# HELP a h\n# TYPE a counter\n';
    const histogram = '# HELP a h\n# TYPE a histogram\n';
    for (const [text, pattern] of [
      ['a 1\n', /no HELP and TYPE/],
      [`${head}a 1`, /last line does not end/],
      [`${head}a 1\na 1\n`, /comes twice/],
      [`${head}a{b="1"} 1\na{b="1"} 2\n`, /comes twice/],
      [`${head}a{b="x\\y"} 1\n`, /label is not well formed/],
      [`${head}a{b="1",} 1\n`, /label is not well formed/],
      [`${head}a{b="1",b="2"} 1\n`, /the label b/],
      [`${head}a -1\n`, /below zero/],
      [`${head}a x\n`, /not a number/],
      [`${head}a 1 2 3\n`, /no value/],
      [`${head}c 1\n`, /not a sample of the counter a/],
      [`${head}a 1\n# HELP c h\n# TYPE c gauge\nc 1\n# HELP a h\n`, /two places/],
      [`${histogram}a_bucket{le="1"} 1\na_sum 1\na_count 1\n`, /no bucket \+Inf/],
      [`${histogram}a_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n`, /holds less/],
      [`${histogram}a_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n`, /its count is 2/],
      [`${histogram}a_bucket{le="+Inf"} 1\na_count 1\n`, /no sum/],
    ] as const)
      assert.throws(() => parsePrometheusText(text), pattern, text);
  });
});
