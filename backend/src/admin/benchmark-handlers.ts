import type { benchmarkRoutes } from '../../../contract/benchmarks.ts';
import type { Benchmarks } from '../jobs/benchmarks.ts';
import type { Handlers } from './handler.ts';

/** The handlers of the routes that measure models. */
export function benchmarkHandlers(benchmarks: Benchmarks): Pick<Handlers, keyof typeof benchmarkRoutes> {
  return {
    listBenchmarks: async ({ params }) => ({ benchmarks: await benchmarks.list(params.id) }),
    startBenchmark: async ({ params, body }, { session }) => ({
      benchmark: await benchmarks.start(params.id, body, session.user.username),
    }),
    cancelBenchmark: async ({ params }) => ({ benchmark: await benchmarks.cancel(params.id) }),
    deleteBenchmark: async ({ params }) => {
      await benchmarks.delete(params.id);
      return { status: 'deleted' };
    },
  };
}
