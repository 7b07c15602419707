/** Round numbers from 0 to at least `most`, about four steps; counts have no half steps. */
export function niceTicks(most: number): number[] {
  if (most <= 0) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? power * 10);
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, tick) => tick * step);
}
