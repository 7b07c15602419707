import { job, type Outcome } from './job.ts';
import { runLoop } from './loop-load.ts';
import { runStreams } from './stream-load.ts';

/* The load, in a process of its own: takes one job as its argument and prints its outcome. */

const wanted = job.parse(JSON.parse(process.argv[2] ?? ''));
const outcome: Outcome = await (wanted.kind === 'stream' ? runStreams(wanted) : runLoop(wanted));
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
