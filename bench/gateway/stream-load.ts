import { setTimeout as sleep } from 'node:timers/promises';
import { documentCheck } from './answer-check.ts';
import { laneName, streamEvent } from './answers.ts';
import { type Outcome, openedLine, type StreamJob } from './job.ts';
import { Lane } from './lane.ts';
import { requestBytes } from './request.ts';
import { spreadOf, Tally } from './tally.ts';

const patienceFactor = 4;
const patienceMs = 30_000;

interface Streams {
  readonly job: StreamJob;
  readonly tally: Tally;
  readonly firstTokens: number[];
  readonly gaps: number[];
  /** Called at each lane's first token of all. */
  readonly opened: () => void;
}

/** Reads streams on every lane, checks that each event is the one that is due, and takes the time between them. */
export async function runStreams(job: StreamJob): Promise<Outcome> {
  const tally = new Tally();
  let open = 0;
  const streams: Streams = {
    job,
    tally,
    firstTokens: [],
    gaps: [],
    opened: () => {
      open += 1;
      if (open === job.lanes) process.stdout.write(`${openedLine}\n`);
    },
  };
  const over = new AbortController();
  const lanes = Array.from({ length: job.lanes }, async (_, lane) => {
    await sleep((lane * job.rampMs) / job.lanes);
    await readStreams(lane, streams);
  });
  const bulk = job.bulky === null ? null : askBulky(job, job.bulky, tally, over.signal);
  const expectedMs = job.rampMs + (job.repeats * job.tokens * 1000) / job.perSecond;
  const tooLate = sleep(expectedMs * patienceFactor + patienceMs, 'late' as const, { signal: over.signal });
  if ((await Promise.race([Promise.all(lanes), tooLate])) === 'late') tally.failed('a stream never ended');
  over.abort();
  tooLate.catch(() => undefined);
  await bulk;
  return {
    answered: tally.answered,
    rate: 0,
    latency: spreadOf([]),
    firstToken: spreadOf(streams.firstTokens),
    gap: spreadOf(streams.gaps),
    failures: tally.failures,
    examples: tally.examples,
  };
}

function readStreams(number: number, { job, tally, firstTokens, gaps, opened }: Streams): Promise<void> {
  const { tokens, perSecond } = job;
  const request = requestBytes({ headers: job.headers, lane: number, stream: { tokens, perSecond } });
  const shape = { lane: laneName(number), tokens, withUsage: false };
  return new Promise((resolve) => {
    let left = job.repeats;
    let place = 0;
    let rest = '';
    let lastMs = 0;
    const fail = (reason: string) => {
      tally.failed(reason);
      lane.close();
      resolve();
    };
    const ask = () => {
      place = 0;
      rest = '';
      lastMs = performance.now();
      lane.send(request);
    };
    const tokenCame = () => {
      const nowMs = performance.now();
      (place === 0 ? firstTokens : gaps).push(nowMs - lastMs);
      if (place === 0 && left === job.repeats) opened();
      lastMs = nowMs;
    };
    const lane = new Lane({
      port: job.port,
      failed: fail,
      answer: {
        head: (text) => {
          if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(text.slice(0, 40));
          if (!/\r\ncontent-type: text\/event-stream/i.test(text)) throw new Error('not a stream of events');
        },
        body: (bytes) => {
          rest += bytes.toString('latin1');
          for (let due = streamEvent(shape, place); rest !== ''; due = streamEvent(shape, place)) {
            if (due === null) throw new Error(`behind the end: ${rest.slice(0, 100)}`);
            if (rest.length < due.length) break;
            if (!rest.startsWith(due)) throw new Error(`not event ${place}: ${rest.slice(0, 200)}`);
            if (place < tokens) tokenCame();
            place += 1;
            rest = rest.slice(due.length);
          }
        },
        end: () => {
          if (rest !== '' || streamEvent(shape, place) !== null) return fail(`ended before event ${place}`);
          tally.answered += 1;
          left -= 1;
          if (left > 0) return ask();
          lane.close();
          resolve();
        },
      },
    });
    ask();
  });
}

/** Sends a large document again and again until the streams have ended. */
async function askBulky(
  { port, headers, lanes }: StreamJob,
  { bytes, everyMs }: { readonly bytes: number; readonly everyMs: number },
  tally: Tally,
  over: AbortSignal,
): Promise<void> {
  const request = requestBytes({ headers, lane: lanes, promptBytes: bytes });
  const check = documentCheck(lanes, { exact: true, marker: null });
  while (!over.aborted) {
    await sleep(everyMs, undefined, { signal: over }).catch(() => undefined);
    if (!over.aborted) await askOnce(port, request, check, tally);
  }
}

function askOnce(port: number, request: Buffer, check: ReturnType<typeof documentCheck>, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    let head = '';
    const pieces: Buffer[] = [];
    const lane = new Lane({
      port,
      failed: (reason) => {
        tally.failed(`the large body: ${reason}`);
        resolve();
      },
      answer: {
        head: (text) => {
          head = text;
        },
        body: (piece) => pieces.push(piece),
        end: () => {
          const wrong = check(head, Buffer.concat(pieces));
          if (wrong === null) tally.answered += 1;
          else tally.failed(`the large body: ${wrong}`);
          lane.close();
          resolve();
        },
      },
    });
    lane.send(request);
  });
}
