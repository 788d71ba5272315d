import { type Row, rounded } from './measurement.ts';
import { isReached, targetOf, timesBetter } from './targets.ts';

/** A row with the peer's measurement of the same name, when there is one. */
export interface Line {
  readonly row: Row;
  readonly peer?: Row;
}

const widths = { name: 76, value: 10, unit: 7, peer: 10, times: 7, target: 20 };

export function tableHead(withPeer: boolean): string {
  return cells(
    { name: 'row', value: 'value', unit: 'unit', peer: 'peer', times: '×', target: 'target', reached: '' },
    withPeer,
  );
}

/** One line of the table: name, value, unit, [peer, how many times better,] target and whether it is reached. */
export function tableLine({ row, peer }: Line, withPeer: boolean): string {
  const target = targetOf(row.name);
  if ('skipped' in row) return `${row.name.padEnd(widths.name)} – skipped: ${row.skipped}`;
  const other = peer !== undefined && !('skipped' in peer) ? peer.value : undefined;
  const times = other === undefined ? undefined : timesBetter(row.unit, row.value, other);
  const reached = target === undefined ? '' : isReached(target, row.value, times) ? 'yes' : 'not yet';
  return cells(
    {
      name: row.name,
      value: figure(row.value),
      unit: row.unit,
      peer: other === undefined ? '' : figure(other),
      times: times === undefined ? '' : `${rounded(times)}×`,
      target: target?.text ?? '',
      reached,
    },
    withPeer,
  );
}

const figure = (value: number): string => rounded(value).toLocaleString('en');

type Cells = Readonly<Record<'name' | 'value' | 'unit' | 'peer' | 'times' | 'target' | 'reached', string>>;

function cells({ name, value, unit, peer, times, target, reached }: Cells, withPeer: boolean): string {
  const middle = withPeer ? ` ${peer.padStart(widths.peer)} ${times.padStart(widths.times)}` : '';
  return `${name.padEnd(widths.name)} ${value.padStart(widths.value)} ${unit.padEnd(widths.unit)}${middle}  ${target.padEnd(widths.target)} ${reached}`.trimEnd();
}
