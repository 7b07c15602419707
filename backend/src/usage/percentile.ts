/**
 * Reads a percentile off a histogram: within the bar where it falls, values are taken to lie evenly.
 * @param counts one a bar; the last one, without an end, holds what is longer than the last bound and gives that bound
 * @param share from 0 to 1
 * @returns null for an empty histogram
 */
export function percentile(counts: readonly number[], boundsMs: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let before = 0;
  for (const [bar, count] of counts.entries()) {
    const from = boundsMs[bar - 1] ?? 0;
    if (count > 0 && before + count >= share * total) {
      const to = boundsMs[bar] ?? from;
      return from + (to - from) * Math.max(0, (share * total - before) / count);
    }
    before += count;
  }
  return boundsMs.at(-1) ?? null;
}
