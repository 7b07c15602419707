import type { PullProgress } from '../../../contract/image-pulls.ts';

const mb = (bytes: number) => (bytes / 1e6).toFixed(0);

/** How far a pull is, as a person reads it: `downloading: 120 of 900 MB, 35 MB/s, 22 s left`. */
export function pullWords({ phase, done_bytes, total_bytes, bytes_per_second, seconds_left }: PullProgress): string {
  if (phase !== 'downloading') return phase;
  const size = total_bytes === null ? `${mb(done_bytes)} MB` : `${mb(done_bytes)} of ${mb(total_bytes)} MB`;
  const rate = bytes_per_second === null ? '' : `, ${mb(bytes_per_second)} MB/s`;
  const left = seconds_left === null ? '' : `, ${Math.ceil(seconds_left)} s left`;
  return `${phase}: ${size}${rate}${left}`;
}
