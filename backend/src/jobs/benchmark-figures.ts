import type { BenchmarkStep } from '../../../contract/benchmarks.ts';

/** One answered request. */
export interface Sample {
  /** Until the first text; null where the answer came in one piece, or without any. */
  readonly firstTextMs: number | null;
  readonly durationMs: number;
  /** As the engine counted them; null where it told none. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
}

/** The value below which a share of the values lies, between two of them in proportion; null where there is none. */
export function quantile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low === undefined || high === undefined ? null : low + (high - low) * (at - Math.floor(at));
}

/**
 * The figures of a step. A rate of tokens is told only where the engine counted those of every answer.
 * @param seconds from the first request's start to the last one's end
 * @param writes whether answers are text
 */
export function stepFigures(
  concurrency: number,
  seconds: number,
  samples: readonly Sample[],
  failures: { readonly count: number; readonly first: BenchmarkStep['error'] },
  writes: boolean,
): BenchmarkStep {
  const promptTokens = sum(samples.map(({ promptTokens }) => promptTokens));
  const outputTokens = writes ? sum(samples.map(({ completionTokens }) => completionTokens)) : null;
  const firstTexts = present(samples.map(({ firstTextMs }) => firstTextMs));
  const perToken = present(samples.map(perTokenMs));
  const durations = samples.map(({ durationMs }) => durationMs);
  const rate = (total: number | null) => (total === null || seconds === 0 ? null : total / seconds);
  return {
    concurrency,
    seconds,
    requests: samples.length,
    failures: failures.count,
    error: failures.first,
    prompt_tokens: promptTokens,
    output_tokens: outputTokens,
    requests_per_second: rate(samples.length) ?? 0,
    prompt_tokens_per_second: rate(promptTokens),
    output_tokens_per_second: rate(outputTokens),
    first_token_p50_ms: quantile(firstTexts, 0.5),
    first_token_p95_ms: quantile(firstTexts, 0.95),
    per_token_p50_ms: quantile(perToken, 0.5),
    per_token_p95_ms: quantile(perToken, 0.95),
    duration_p50_ms: quantile(durations, 0.5),
    duration_p95_ms: quantile(durations, 0.95),
  };
}

/** Of the tokens after the first one. */
function perTokenMs({ firstTextMs, durationMs, completionTokens }: Sample): number | null {
  if (firstTextMs === null || completionTokens === null || completionTokens < 2) return null;
  return (durationMs - firstTextMs) / (completionTokens - 1);
}

const present = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);

function sum(values: readonly (number | null)[]): number | null {
  const told = present(values);
  return told.length < values.length ? null : told.reduce((total, value) => total + value, 0);
}
