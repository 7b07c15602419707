import { CortexError } from '../../../contract/errors.ts';
import type { InspectedRequest, Inspection } from '../../../contract/inspector.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { RoutingTable } from '../routing/table.ts';

const keptRequests = 100;
const keptAfterwardsMs = 60 * 60_000;

export interface InspectorOptions {
  readonly table: RoutingTable;
  readonly logger: { warn(details: object, message: string): void };
}

/** Off unless an administrator starts it, for some minutes. What it keeps is in memory alone, and never a key. */
export class Inspector {
  readonly #options: InspectorOptions;
  #inspection: Inspection | null = null;
  /** Newest last. */
  #requests: InspectedRequest[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: InspectorOptions) {
    this.#options = options;
  }

  start(which: { minutes: number; served_name: string | null; key_id: string | null }, startedBy: string): Inspection {
    const { table, logger } = this.#options;
    const untilMs = Date.now() + which.minutes * 60_000;
    const inspection: Inspection = {
      until: new Date(untilMs).toISOString(),
      served_name: which.served_name,
      key_id: which.key_id,
      started_by: startedBy,
    };
    this.#requests = [];
    this.#inspection = inspection;
    table.replace({ inspection: { untilMs, keyId: which.key_id } });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stop(), which.minutes * 60_000 + keptAfterwardsMs).unref();
    logger.warn({ inspection }, 'The request inspector is on: questions and answers are kept in memory');
    return inspection;
  }

  /** Forgets all that was kept. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#inspection = null;
    this.#requests = [];
    this.#options.table.replace({ inspection: null });
  }

  keep(inspected: InspectedRequest): void {
    const inspection = this.#inspection;
    if (inspection === null) return;
    if (inspection.served_name !== null && inspection.served_name !== inspected.record.served_name) return;
    this.#requests.push(inspected);
    if (this.#requests.length > keptRequests) this.#requests.shift();
  }

  state(): { inspection: Inspection | null; requests: UsageRecord[] } {
    return { inspection: this.#inspection, requests: this.#requests.map(({ record }) => record).reverse() };
  }

  /** @throws CortexError not_found */
  request(requestId: string): InspectedRequest {
    const found = this.#requests.find(({ record }) => record.request_id === requestId);
    if (found === undefined) throw new CortexError('not_found', { what: 'inspected request', id: requestId });
    return found;
  }
}
