import { addSpread, type Spread } from './request-tally.ts';

export interface HistogramOptions<T extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly T[];
  readonly bounds: readonly number[];
}

/** A histogram that is given values by the spread, sorted into its buckets already: prom-client's takes them one by one. */
export class SpreadHistogram<T extends string> {
  readonly type = 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly T[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Spread>();

  constructor({ name, help, labelNames, bounds }: HistogramOptions<T>) {
    this.name = name;
    this.help = help;
    this.labelNames = labelNames;
    this.#bounds = bounds;
  }

  /** @param spread of this histogram's bounds */
  add(labels: Readonly<Record<T, string>>, spread: Spread): void {
    const key = this.labelNames.map((name) => `${name}="${escaped(labels[name])}"`).join(',');
    const known = this.#series.get(key);
    if (known === undefined) this.#series.set(key, { counts: [...spread.counts], sum: spread.sum });
    else addSpread(known, spread);
  }

  /** In Prometheus' text format. */
  text(): string {
    const lines = [`# HELP ${this.name} ${this.help}`, `# TYPE ${this.name} histogram`];
    for (const [labels, { counts, sum }] of this.#series) {
      const before = labels === '' ? '' : `,${labels}`;
      let count = 0;
      for (const [at, bound] of [...this.#bounds, '+Inf'].entries()) {
        count += counts[at] ?? 0;
        lines.push(`${this.name}_bucket{le="${bound}"${before}} ${count}`);
      }
      const all = labels === '' ? '' : `{${labels}}`;
      lines.push(`${this.name}_sum${all} ${sum}`, `${this.name}_count${all} ${count}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

const escaped = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
