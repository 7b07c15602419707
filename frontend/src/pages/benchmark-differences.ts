import type { Benchmark } from '../../../contract/benchmarks.ts';

export interface BenchmarkDifference {
  readonly field: string;
  readonly here: string;
  readonly there: string;
}

/** What two runs measured and how, where it is not the same: a difference of their figures may come from it. */
export function benchmarkDifferences(here: Benchmark, there: Benchmark): BenchmarkDifference[] {
  const [these, those] = [fieldsOf(here), fieldsOf(there)];
  return [...new Set([...these.keys(), ...those.keys()])].flatMap((field) => {
    const [one, other] = [these.get(field) ?? 'default', those.get(field) ?? 'default'];
    return one === other ? [] : [{ field, here: one, there: other }];
  });
}

/** Options count one by one; that something was changed tells less than what. */
function fieldsOf({ settings, subject }: Benchmark): Map<string, string> {
  const { options, model_version: _version, ...rest } = subject;
  const all = Object.entries({ ...settings, ...rest, ...options });
  return new Map(all.flatMap(([name, value]) => (value === null ? [] : [[name.replaceAll('_', ' '), shown(value)]])));
}

const shown = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return value.join(', ') || 'none';
  return JSON.stringify(value);
};

/** +12 %, of what was before. */
export function changeInWords(before: number | null, after: number | null): string {
  if (before === null || after === null || before === 0) return '–';
  const percent = (100 * (after - before)) / before;
  return `${percent > 0 ? '+' : ''}${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0)} %`;
}
