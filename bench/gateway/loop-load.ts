import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AnswerCheck, documentCheck, refusalCheck } from './answer-check.ts';
import type { LoopJob, Outcome } from './job.ts';
import { Lane } from './lane.ts';
import { requestBytes } from './request.ts';
import { spreadOf, Tally } from './tally.ts';

const longestWaitMs = 10_000;

/** Asks on every lane again and again for the job's time, and checks each answer. */
export async function runLoop(job: LoopJob): Promise<Outcome> {
  const tally = new Tally();
  const latencies: number[] = [];
  const startMs = performance.now() + job.warmSeconds * 1000;
  const stopMs = startMs + job.seconds * 1000;
  const lanes = Array.from({ length: job.lanes }, (_, lane) => {
    const next = job.kind === 'json' ? sameRequest(lane, job) : badKeys(lane, job);
    const check = job.kind === 'json' ? documentCheck(lane, job) : refusalCheck();
    return askAgain({ job, next, check, tally, latencies, startMs, stopMs });
  });
  const late = new AbortController();
  const tooLate = sleep(stopMs - performance.now() + longestWaitMs, 'late' as const, { signal: late.signal });
  if ((await Promise.race([Promise.all(lanes), tooLate])) === 'late') tally.failed('an answer never came');
  late.abort();
  tooLate.catch(() => undefined);
  const none = spreadOf([]);
  return {
    answered: tally.answered,
    rate: latencies.length / job.seconds,
    latency: spreadOf(latencies),
    firstToken: none,
    gap: none,
    failures: tally.failures,
    examples: tally.examples,
  };
}

interface Loop {
  readonly job: LoopJob;
  readonly next: () => string | Buffer;
  readonly check: AnswerCheck;
  readonly tally: Tally;
  readonly latencies: number[];
  readonly startMs: number;
  readonly stopMs: number;
}

function askAgain({ job, next, check, tally, latencies, startMs, stopMs }: Loop): Promise<void> {
  return new Promise((resolve) => {
    let head = '';
    let body: Buffer | null = null;
    let sentMs = 0;
    const fail = (reason: string) => {
      tally.failed(reason);
      lane.close();
      resolve();
    };
    const ask = () => {
      body = null;
      sentMs = performance.now();
      lane.send(next());
    };
    const lane = new Lane({
      port: job.port,
      failed: fail,
      answer: {
        head: (text) => {
          head = text;
        },
        body: (bytes) => {
          body = body === null ? bytes : Buffer.concat([body, bytes]);
        },
        end: () => {
          const nowMs = performance.now();
          const wrong = check(head, body ?? Buffer.alloc(0));
          if (wrong !== null) return fail(wrong);
          tally.answered += 1;
          if (nowMs >= startMs && nowMs < stopMs) latencies.push(nowMs - sentMs);
          if (nowMs < stopMs) return ask();
          lane.close();
          resolve();
        },
      },
    });
    ask();
  });
}

function sameRequest(lane: number, { headers }: LoopJob): () => Buffer {
  const bytes = requestBytes({ headers, lane });
  return () => bytes;
}

/** Each key is new, so that no memory of refused keys answers. */
function badKeys(lane: number, { headers }: LoopJob): () => string {
  const placeOfKey = `ctx_${'#'.repeat(43)}`;
  const bytes = requestBytes({ headers: { ...headers, authorization: `Bearer ${placeOfKey}` }, lane });
  const [before = '', after = ''] = bytes.toString('latin1').split(placeOfKey);
  const seed = randomBytes(24).toString('base64url');
  let count = 0;
  return () => `${before}ctx_${seed}${String(count++).padStart(11, '0')}${after}`;
}
