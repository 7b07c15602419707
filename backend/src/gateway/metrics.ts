import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { RoutingTable } from '../routing/table.ts';
import type { Queues } from './queue.ts';
import { operationOf } from './surface.ts';
import type { Timing } from './timing.ts';

export interface MetricsOptions {
  readonly table: RoutingTable;
  readonly endpoints: { isLeftAlone(endpointId: string, nowMs: number): boolean };
  readonly queues: Pick<Queues, 'running' | 'depth'>;
  readonly journals: {
    readonly state: { readonly waiting: number; readonly dropped: number };
    depthBytes(): Promise<number>;
  };
  readonly limits: { readonly available: boolean };
}

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const tokenSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const overheadSeconds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];

/**
 * What Prometheus reads. Names with gen_ai are those of OpenTelemetry's conventions for generative AI; labels take only values
 * of the routing table and of fixed lists, so that no client can make a series.
 */
export class Metrics {
  /** Also read for the documentation. */
  readonly registry = new Registry();
  readonly #options: MetricsOptions;
  readonly #requests: Counter<'model' | 'endpoint' | 'outcome' | 'status'>;
  readonly #tokens: Counter<'model' | 'kind'>;
  readonly #refusals: Counter<'cause'>;
  readonly #duration: Histogram<'gen_ai_request_model' | 'gen_ai_operation_name'>;
  readonly #firstToken: Histogram<'gen_ai_request_model'>;
  readonly #perToken: Histogram<'gen_ai_request_model'>;
  readonly #queue: Histogram<'model'>;
  readonly #overhead: Histogram;

  constructor(options: MetricsOptions) {
    this.#options = options;
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry, prefix: 'cortex_' });
    this.#requests = new Counter({
      name: 'cortex_requests_total',
      help: 'Requests to /v1 that reached a handler, by how they ended',
      labelNames: ['model', 'endpoint', 'outcome', 'status'],
      registers,
    });
    this.#tokens = new Counter({
      name: 'cortex_tokens_total',
      help: 'Tokens as the engines counted them: prompt, completion, and of the prompt those that were cached',
      labelNames: ['model', 'kind'],
      registers,
    });
    this.#refusals = new Counter({
      name: 'cortex_errors_total',
      help: 'Requests that ended with an error, by its code (docs/reference/errors.md)',
      labelNames: ['cause'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'gen_ai_server_request_duration_seconds',
      help: 'From the arrival of a request to its end',
      labelNames: ['gen_ai_request_model', 'gen_ai_operation_name'],
      buckets: seconds,
      registers,
    });
    this.#firstToken = new Histogram({
      name: 'gen_ai_server_time_to_first_token_seconds',
      help: 'From the arrival of a streaming request to the first byte of its answer',
      labelNames: ['gen_ai_request_model'],
      buckets: seconds,
      registers,
    });
    this.#perToken = new Histogram({
      name: 'gen_ai_server_time_per_output_token_seconds',
      help: 'Time for each token after the first of a stream',
      labelNames: ['gen_ai_request_model'],
      buckets: tokenSeconds,
      registers,
    });
    this.#queue = new Histogram({
      name: 'cortex_queue_wait_seconds',
      help: 'How long requests waited for a place at their model',
      labelNames: ['model'],
      buckets: seconds,
      registers,
    });
    this.#overhead = new Histogram({
      name: 'cortex_gateway_overhead_seconds',
      help: 'What the gateway itself added to a request before the engine got it',
      buckets: overheadSeconds,
      registers,
    });
    this.#gauges();
  }

  /** The type of `text()`. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  observe(record: UsageRecord, timing: Timing): void {
    const model = this.#modelLabel(record.served_name);
    const { outcome, endpoint, cause } = record;
    this.#requests.inc({ model, endpoint, outcome, status: String(record.status) });
    if (cause !== null) this.#refusals.inc({ cause });
    if (record.model_id === null) return;
    if (record.prompt_tokens > 0) this.#tokens.inc({ model, kind: 'prompt' }, record.prompt_tokens);
    if (record.completion_tokens > 0) this.#tokens.inc({ model, kind: 'completion' }, record.completion_tokens);
    if (record.cached_tokens > 0) this.#tokens.inc({ model, kind: 'cached' }, record.cached_tokens);
    const labels = { gen_ai_request_model: model };
    this.#duration.observe({ ...labels, gen_ai_operation_name: operationOf(endpoint) }, record.duration_ms / 1000);
    this.#queue.observe({ model }, record.queue_ms / 1000);
    this.#overhead.observe(timing.overheadMs / 1000);
    if (!record.streamed || record.first_byte_ms === null) return;
    this.#firstToken.observe(labels, record.first_byte_ms / 1000);
    const others = record.completion_tokens - 1;
    if (others > 0) this.#perToken.observe(labels, (record.duration_ms - record.first_byte_ms) / 1000 / others);
  }

  /** Requests that never came to a model. */
  refused(cause: string, count: number): void {
    this.#refusals.inc({ cause }, count);
  }

  /** Clients choose what they ask for; only names that exist become a series. */
  #modelLabel(servedName: string): string {
    return this.#options.table.model(servedName) === undefined ? 'unknown' : servedName;
  }

  #gauges(): void {
    const { table, endpoints: health, queues, journals, limits } = this.#options;
    const registers = [this.registry];
    const perModel = (name: string, help: string, value: (servedName: string) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['model'],
        registers,
        collect() {
          this.reset();
          for (const { servedName } of table.models()) this.set({ model: servedName }, value(servedName));
        },
      });
    perModel('cortex_requests_running', 'Requests that the engines work on', (name) => queues.running(name));
    perModel('cortex_requests_waiting', 'Requests that wait for a place', (name) => queues.depth(name));
    perModel('cortex_model_ready', '1 where the model answers', (name) =>
      table.model(name)?.state === 'ready' ? 1 : 0,
    );
    new Gauge({
      name: 'cortex_endpoint_open',
      help: '1 where the endpoint is asked, 0 while it is left alone after failures',
      labelNames: ['model', 'replica'],
      registers,
      collect() {
        this.reset();
        for (const { servedName, endpoints } of table.models())
          for (const { id } of endpoints)
            this.set({ model: servedName, replica: id }, health.isLeftAlone(id, Date.now()) ? 0 : 1);
      },
    });
    const single = (name: string, help: string, value: () => number | Promise<number>) =>
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await value());
        },
      });
    single('cortex_limits_available', '1 where limits can be checked, 0 while Redis does not answer', () =>
      limits.available ? 1 : 0,
    );
    single('cortex_usage_journal_bytes', 'Usage on disk that the database does not have yet', () =>
      journals.depthBytes(),
    );
    single(
      'cortex_usage_waiting_records',
      'Usage in memory because the disk takes nothing',
      () => journals.state.waiting,
    );
    single('cortex_usage_dropped_records', 'Usage left out since the disk takes nothing', () => journals.state.dropped);
  }
}
