import { CortexError } from '../../contract/errors.ts';
import { loadConfig } from './config.ts';
import { startServer } from './server.ts';

/** Says what went wrong and what to do, as the command line does, and gives the exit code. */
function report(error: unknown): number {
  if (error instanceof CortexError) {
    process.stderr.write(`Cortex did not start: ${error.message}\n  → ${error.hint}\n`);
    return error.exit;
  }
  process.stderr.write(`Cortex did not start: ${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

try {
  const config = loadConfig();
  // `--check` says whether the settings are good before anything is stopped or started.
  if (process.argv.includes('--check')) process.exit(0);
  const server = await startServer(config);
  let stopping = false;
  const stop = (): void => {
    // A second signal means: now.
    if (stopping) process.exit(130);
    stopping = true;
    server.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`Cortex did not stop in order: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
} catch (error) {
  process.exit(report(error));
}
