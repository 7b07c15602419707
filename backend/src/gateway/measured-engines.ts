import { CortexError } from '../../../contract/errors.ts';
import type { Balancer } from '../routing/balancer.ts';
import type { Endpoint, RoutingTable } from '../routing/table.ts';
import type { EngineClient } from './engine-client/engine-client.ts';
import { type MeasuredAnswer, type MeasuredRequest, sendMeasured } from './measured-request.ts';

export interface MeasuredEnginesOptions {
  readonly table: RoutingTable;
  readonly balancer: Balancer;
  readonly client: EngineClient;
  /** Hears of each request, so that a model on demand is not unloaded while it is measured. */
  readonly onUsed: (modelId: string) => void;
}

/**
 * The engines that Cortex runs, for requests of its own: on the road of clients' requests from the balancer on. They have no
 * key, so they pass no limit and no queue, and no usage is written of them.
 */
export class MeasuredEngines {
  readonly #options: MeasuredEnginesOptions;

  constructor(options: MeasuredEnginesOptions) {
    this.#options = options;
  }

  /** Those of a model that are ready. */
  endpoints(modelId: string): readonly Endpoint[] {
    return this.#model(modelId)?.endpoints ?? [];
  }

  /** Asks one engine. @throws CortexError as sendMeasured */
  ask(endpoint: Endpoint, request: MeasuredRequest, signal: AbortSignal): Promise<MeasuredAnswer> {
    return sendMeasured(this.#options.client, endpoint, request, signal);
  }

  /** Asks the engine of a model that has the fewest requests under way. @throws CortexError as sendMeasured */
  async askAny(modelId: string, request: MeasuredRequest, signal: AbortSignal): Promise<MeasuredAnswer> {
    const { balancer, onUsed } = this.#options;
    const model = this.#model(modelId);
    const lease = balancer.acquire(model?.endpoints ?? [], null, [], Date.now());
    if (lease === undefined) throw new CortexError('engine_unreachable', { model: model?.servedName ?? modelId });
    try {
      onUsed(modelId);
      return await this.ask(lease.endpoint, request, signal);
    } finally {
      // What an engine does under such a load is no reason to keep clients from it.
      lease.release('unknown');
      onUsed(modelId);
    }
  }

  /** @param listener hears, once, that a model is not to run any more; @returns what ends that */
  onAway(modelId: string, listener: () => void): () => void {
    const stop = this.#options.table.onReplace((parts) => {
      const state = this.#model(modelId)?.state;
      // One that is too busy to tell its health comes again.
      if (parts.models === undefined || state === 'ready' || state === 'unhealthy') return;
      stop();
      listener();
    });
    return stop;
  }

  #model(modelId: string) {
    return this.#options.table.parts.models.find((model) => model.modelId === modelId);
  }
}
