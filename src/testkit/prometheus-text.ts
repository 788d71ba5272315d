/** One line of the text: its name, labels, value. */
export interface PrometheusSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly timestampMs?: number;
}

export interface PrometheusFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';
  readonly help: string;
  readonly samples: readonly PrometheusSample[];
}

const types: ReadonlySet<string> = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);
const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const suffixes: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/**
 * Reads the text format 0.0.4 more strictly than Prometheus does: every family has HELP and TYPE before its samples and stands in
 * one place, no series comes twice, counters are not negative, and a histogram's buckets grow, end with +Inf and agree with its
 * count. Throws Error with the line that is wrong.
 */
export function parsePrometheusText(text: string): Map<string, PrometheusFamily> {
  const families = new Map<string, { -readonly [K in keyof PrometheusFamily]: PrometheusFamily[K] }>();
  const samples = new Map<string, PrometheusSample[]>();
  const seen = new Set<string>();
  let current = '';
  const open = (name: string, line: string): void => {
    if (name === current) return;
    if (families.has(name)) fail(`${name} stands in two places`, line);
    if (!metricName.test(name)) fail('not the name of a metric', line);
    current = name;
    families.set(name, { name, type: 'untyped', help: '', samples: [] });
    samples.set(name, []);
  };
  if (text !== '' && !text.endsWith('\n')) fail('the last line does not end', text.slice(-80));
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, what, name = '', value = ''] = comment;
      open(name, line);
      const family = families.get(name);
      if (family === undefined || samples.get(name)?.length !== 0) fail('comes after samples', line);
      if (what === 'HELP') {
        if (family.help !== '') fail('a second HELP', line);
        family.help = value;
      } else {
        if (family.type !== 'untyped') fail('a second TYPE', line);
        if (!types.has(value)) fail('not a type', line);
        family.type = value as PrometheusFamily['type'];
      }
      continue;
    }
    const sample = parseSample(line);
    const family = families.get(current);
    if (family === undefined || family.help === '' || family.type === 'untyped')
      fail('no HELP and TYPE before it', line);
    if (!(suffixes[family.type] ?? ['']).some((suffix) => sample.name === current + suffix))
      fail(`not a sample of the ${family.type} ${current}`, line);
    const labels = Object.entries(sample.labels).sort(([a], [b]) => (a < b ? -1 : 1));
    const series = JSON.stringify([sample.name, labels]);
    if (seen.has(series)) fail('this series comes twice', line);
    seen.add(series);
    if (family.type === 'counter' && !(sample.value >= 0)) fail('a counter below zero', line);
    samples.get(current)?.push(sample);
  }
  for (const family of families.values()) {
    family.samples = samples.get(family.name) ?? [];
    if (family.type === 'histogram') checkHistogram(family);
  }
  return families;
}

function parseSample(line: string): PrometheusSample {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) return fail('neither a comment nor a sample', line);
  let at = name.length;
  const labels: Record<string, string> = {};
  if (line[at] === '{') {
    at++;
    while (line[at] !== '}') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(,(?!\})|(?=\}))/.exec(line.slice(at));
      if (label === null) return fail('a label is not well formed', line);
      const [whole, key = '', value = ''] = label;
      if (key.startsWith('__') || Object.hasOwn(labels, key)) return fail(`the label ${key}`, line);
      labels[key] = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
      at += whole.length;
    }
    at++;
  }
  const rest = /^ (\S+)(?: (-?\d+))?$/.exec(line.slice(at));
  if (rest === null) return fail('no value', line);
  const [, written = '', time] = rest;
  const value = { '+Inf': Infinity, '-Inf': -Infinity, NaN: Number.NaN }[written] ?? Number(written);
  if (written !== 'NaN' && Number.isNaN(value)) return fail('not a number', line);
  return { name, labels, value, ...(time === undefined ? {} : { timestampMs: Number(time) }) };
}

function checkHistogram({ name, samples }: PrometheusFamily): void {
  const groups = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const [labels, group] of groups) {
    let [before, limitBefore] = [0, -Infinity];
    for (const one of group.filter((sample) => sample.name === `${name}_bucket`)) {
      const { le = '' } = one.labels;
      const limit = le === '+Inf' ? Infinity : Number(le);
      if (le === '' || !(limit > limitBefore)) fail('buckets do not grow', `${name}${labels} ${le}`);
      if (!(one.value >= before)) fail('a bucket holds less than the one below it', `${name}${labels} ${le}`);
      [before, limitBefore] = [one.value, limit];
    }
    if (limitBefore !== Infinity) fail('no bucket +Inf', `${name}${labels}`);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    if (count !== before) fail(`its count is ${count}, +Inf holds ${before}`, `${name}${labels}`);
    if (!group.some((sample) => sample.name === `${name}_sum`)) fail('no sum', `${name}${labels}`);
  }
}

function fail(why: string, line: string): never {
  throw new Error(`${why}: ${line}`);
}
