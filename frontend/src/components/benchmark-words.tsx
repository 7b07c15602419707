import type { Benchmark, BenchmarkState } from '../../../contract/benchmarks.ts';
import { formatCount } from '../format.ts';
import { Status } from './status.tsx';

const states = {
  running: { mark: '◔', tone: 'accent' },
  done: { mark: '●', tone: 'ok' },
  cancelled: { mark: '○', tone: 'muted' },
  interrupted: { mark: '▲', tone: 'warn' },
  failed: { mark: '▲', tone: 'bad' },
} as const satisfies Record<BenchmarkState, unknown>;

export function BenchmarkStatus({ benchmark: { state } }: { benchmark: Benchmark }) {
  return <Status {...states[state]} word={state} />;
}

/** 1, 2, 4 at once · 256 tokens in, 128 out · 15 s a step. */
export function settingsInWords({ settings, subject }: Benchmark): string {
  const { concurrency, prompt_tokens, output_tokens, seconds } = settings;
  const out = subject.task === 'generate' ? `, ${formatCount(output_tokens)} out` : '';
  return `${concurrency.join(', ')} at once · ${formatCount(prompt_tokens)} tokens in${out} · ${seconds} s a step`;
}
