import { setTimeout as sleep } from 'node:timers/promises';
import type { LogPiece } from '../../../contract/model-logs.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { containerName } from './container-spec.ts';
import type { Room } from './engine-room/room.ts';
import { secretValues } from './secrets.ts';

const againMs = 1_000;
const batchMs = 50;
const batchLines = 500;
/** More than any log has: Docker keeps 30 MB of each container's. */
const allLines = 10_000_000;
const longestLine = 8_000;

// Terminals' colours and cursor movements (ECMA-48), and what else is no text.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const escapes = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** A line as it may be shown: engines write what models and files told them. */
export function cleanLine(line: string, secrets: readonly string[]): string {
  // A progress bar writes one state over the other; the last one counts.
  const last = line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  let text = last.replace(escapes, '').replace(controls, '');
  for (const secret of secrets) text = text.replaceAll(secret, '‹hidden›');
  return text.length > longestLine ? `${text.slice(0, longestLine)} …` : text;
}

export interface LogQuestion {
  readonly modelId: string;
  readonly replica: number;
  /** Texts that are never shown. */
  readonly secrets: readonly string[];
}

/** What an engine knows and nobody else may read. */
export const secretsOf = ({ options }: ModelRecord, engineKey: string): string[] => [
  engineKey,
  ...secretValues(options),
];

/** The newest lines of a replica's log, oldest first. */
export async function tailOfLog(
  room: Pick<Room, 'logs'>,
  { modelId, replica, secrets }: LogQuestion,
  tail: number,
): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of room.logs(modelId, replica, { tail })) lines.push(cleanLine(line, secrets));
  return lines;
}

/** A replica's log as it is written, over its restarts, until the signal ends it. */
export async function* followLog(
  room: Pick<Room, 'inspect' | 'logs'>,
  { modelId, replica, secrets }: LogQuestion,
  tail: number,
  signal: AbortSignal,
): AsyncGenerator<LogPiece> {
  let shown: string | null = null;
  while (!signal.aborted) {
    const container = await room.inspect(containerName(modelId, replica)).catch(() => null);
    const start = container === null ? null : `${container.id} ${container.startedAt}`;
    if (start !== null && start !== shown) {
      shown = start;
      yield { begins: true, lines: [] };
      try {
        for await (const lines of batches(room.logs(modelId, replica, { tail, follow: true, signal })))
          yield { begins: false, lines: lines.map((line) => cleanLine(line, secrets)) };
      } catch (error) {
        if (signal.aborted) return;
        yield {
          begins: false,
          lines: [`(the log broke off: ${error instanceof Error ? error.message : 'Docker is away'})`],
        };
      }
    }
    await sleep(againMs, undefined, { signal }).catch(() => undefined);
  }
}

/** All that Docker has of a replica's log. */
export async function* wholeLog(
  room: Pick<Room, 'logs'>,
  { modelId, replica, secrets }: LogQuestion,
): AsyncGenerator<string> {
  for await (const lines of batches(room.logs(modelId, replica, { tail: allLines })))
    yield `${lines.map((line) => cleanLine(line, secrets)).join('\n')}\n`;
}

/** What comes close together, together: one event for each line of a start would drown a browser. */
async function* batches(source: AsyncIterable<string>): AsyncGenerator<string[]> {
  const iterator = source[Symbol.asyncIterator]();
  const next = () => {
    const coming = iterator.next();
    // Whoever reads may leave before it comes; then its failure is nobody's.
    coming.catch(() => undefined);
    return coming;
  };
  let coming = next();
  try {
    for (;;) {
      const first = await coming;
      if (first.done) return;
      const lines = [first.value];
      const due = sleep(batchMs, null);
      coming = next();
      while (lines.length < batchLines) {
        const more = await Promise.race([coming, due]);
        if (more === null) break;
        if (more.done) {
          yield lines;
          return;
        }
        lines.push(more.value);
        coming = next();
      }
      yield lines;
    }
  } finally {
    // Docker's answer is read no further.
    void iterator.return?.(undefined).catch(() => undefined);
  }
}
