import type { PackageEvent, Report } from '../offline/events.ts';
import { formatBytes, formatSeconds } from './format.ts';

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Events as JSON lines, for programs. */
export const jsonReporter =
  (output: Output): Report =>
  (event) => {
    if (event.kind !== 'bytes') output.write(`${JSON.stringify(event)}\n`);
  };

const verbs = { prepare: 'Packing', load: 'Loading', verify: 'Checking', push: 'Pushing' } as const;
const moved = { prepare: 'to fetch', load: 'to load', verify: 'to read', push: 'to send' } as const;
const notes = { new: '✓', kept: '✓ unchanged', present: '✓ already there', whole: '✓' } as const;
const redrawMs = 200;

/** Events for people: a line for each finished file, and on a terminal one live line with bytes, rate and time left. */
export function textReporter(output: Output): Report {
  let verb: string = verbs.prepare;
  let toDo: string = moved.prepare;
  let totalBytes = 0;
  let doneBytes = 0;
  let startedAtMs = Date.now();
  let drawnAtMs = 0;

  const line = (text: string) => output.write(output.isTTY ? `\r\u001b[K${text}\n` : `${text}\n`);
  const draw = () => {
    const nowMs = Date.now();
    if (!output.isTTY || nowMs - drawnAtMs < redrawMs) return;
    drawnAtMs = nowMs;
    const seconds = Math.max(0.001, (nowMs - startedAtMs) / 1000);
    const rate = doneBytes / seconds;
    const left = totalBytes > doneBytes && rate > 0 ? ` · ${formatSeconds((totalBytes - doneBytes) / rate)} left` : '';
    const total = totalBytes > 0 ? ` of ${formatBytes(totalBytes)}` : '';
    const text = `  ${formatBytes(doneBytes)}${total} · ${formatBytes(rate)}/s${left}`;
    output.write(`\r\u001b[K${text.slice(0, (output.columns ?? 80) - 1)}`);
  };
  const show = (event: PackageEvent): void => {
    switch (event.kind) {
      case 'started':
        verb = verbs[event.work];
        toDo = moved[event.work];
        startedAtMs = Date.now();
        return;
      case 'planned':
        totalBytes = event.totalBytes - event.presentBytes;
        line(`${formatBytes(event.totalBytes)} in all, ${formatBytes(totalBytes)} ${toDo}`);
        startedAtMs = Date.now();
        return;
      case 'bytes':
        doneBytes += event.bytes;
        draw();
        return;
      case 'file-done':
        line(`${verb} ${event.file} (${formatBytes(event.sizeBytes)})... ${notes[event.note]}`);
        return;
      case 'file-failed':
        line(`${verb} ${event.file}${event.sizeBytes > 0 ? ` (${formatBytes(event.sizeBytes)})` : ''}... ✗`);
        line(`  ${event.message}`);
        line(`  → ${event.hint}`);
        return;
      case 'note':
        line(event.message);
        return;
      case 'warning':
        line(`! ${event.message}`);
        return;
      case 'resolved':
      case 'file-started':
      case 'finished':
        return;
    }
  };
  return show;
}
