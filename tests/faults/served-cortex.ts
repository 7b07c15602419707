import { expect, vi } from 'vitest';
import type { RouteResponse, Routes } from '../../contract/routes.ts';
import type { ServingSettings } from '../../contract/routing.ts';
import { servingSettings } from '../../contract/routing.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { freePort } from '../free-port.ts';
import type { Load } from './load.ts';

type Row = RouteResponse<Routes['listUsage']>['records'][number];

/** A Cortex process before one engine, which it knows as the model `steady`. */
export class ServedCortex extends EmbeddedCortex {
  token = '';
  keyId = '';
  #metrics = '';
  #engines = 0;

  async serve(engineUrl: string, env: Record<string, string> = {}): Promise<void> {
    const port = await freePort();
    this.#metrics = `http://127.0.0.1:${port}/metrics`;
    await this.start({ METRICS_PORT: String(port), ...env });
    await this.signIn();
    await this.askEngine(engineUrl);
    await this.newKey();
  }

  /** From now on this engine answers, and nothing that is known of another one counts. */
  async askEngine(url: string): Promise<void> {
    const { endpoints } = await this.call('getRouting');
    for (const { id } of endpoints) await this.call('deleteEndpoint', { params: { id } });
    this.#engines += 1;
    // What is known of an endpoint is known of its name.
    const name = `engine-${this.#engines}`;
    await this.call('createEndpoint', { body: { name, served_name: 'steady', url } });
    await this.treat({});
  }

  /** From now on requests are asked with a key that nobody used yet. */
  async newKey(): Promise<void> {
    const { key, token } = await this.call('createKey', { body: { name: 'load' } });
    this.token = token;
    this.keyId = key.id;
  }

  async treat(settings: Partial<ServingSettings>): Promise<void> {
    await this.call('setServing', {
      body: { served_name: 'steady', settings: servingSettings.parse(settings) },
    });
  }

  ask(content: string, more: { readonly stream?: boolean; readonly signal?: AbortSignal } = {}): Promise<Response> {
    const { stream = false, signal } = more;
    return fetch(`${this.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'steady', stream, messages: [{ role: 'user', content }] }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** The value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(this.#metrics)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  /** Every row of the ledger by its request id. */
  async ledger(): Promise<Map<string, Row>> {
    const rows = new Map<string, Row>();
    let cursor: string | null = null;
    do {
      const page: RouteResponse<Routes['listUsage']> = await this.call('listUsage', {
        query: { limit: 1000, ...(cursor === null ? {} : { cursor }) },
      });
      for (const record of page.records) rows.set(record.request_id, record);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return rows;
  }

  /** The rows of the key: so many, and not one more. */
  async rows(count: number): Promise<Row[]> {
    const { keyId } = this;
    const found = async () => (await this.call('listUsage', { query: { key_id: keyId } })).records;
    await vi.waitFor(async () => expect((await found()).length).toBeGreaterThanOrEqual(count), {
      timeout: 5000,
      interval: 50,
    });
    // Time for one too many to come in.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const rows = await found();
    expect(rows).toHaveLength(count);
    return rows;
  }

  /** What clients have seen whole is in the ledger, each once and with the engine's count. */
  async expectLedgerToHold(load: Load): Promise<void> {
    // After a long load reading the ledger by pages takes longer than its last rows take to come.
    const timeout = 10_000 + load.complete.length / 5;
    await vi.waitFor(
      async () => {
        const rows = await this.ledger();
        expect(load.complete.filter(({ requestId }) => !rows.has(requestId))).toEqual([]);
        for (const { requestId, completionTokens } of load.complete)
          expect(rows.get(requestId)).toMatchObject({ completion_tokens: completionTokens, outcome: 'ok' });
      },
      { timeout, interval: 200 },
    );
  }
}
