import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { sendEvents } from './event-stream.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

interface Seen {
  readonly url: string;
  readonly abort: AbortController;
  readonly errors: unknown[];
}

/** A real server that answers every request with the events of `source`. */
async function serve(
  source: (signal: AbortSignal) => AsyncIterable<unknown>,
  options: { stillAllowed?: () => Promise<boolean>; heartbeatMs?: number } = {},
): Promise<Seen> {
  const abort = new AbortController();
  const errors: unknown[] = [];
  const listening = createServer((_request, response) => {
    const settings = { headers: {}, stillAllowed: async () => true, ...options };
    void sendEvents(response, source(abort.signal), abort, settings, (error) => errors.push(error));
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, abort, errors };
}

/** Never gives anything; ends when it is told to. */
async function* silence(signal: AbortSignal): AsyncGenerator<never> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
}

describe('an event stream', () => {
  it('gives each value as one event and ends with its source', async () => {
    const { url } = await serve(async function* () {
      yield { text: 'a\nb' };
      yield { text: 'c' };
    });
    const text = await (await fetch(url)).text();
    expect(text).toBe(': connected\n\ndata: {"text":"a\\nb"}\n\ndata: {"text":"c"}\n\n');
  });

  it('shows that it is alive while there is nothing to tell', async () => {
    const { url, abort } = await serve(silence, { heartbeatMs: 5 });
    const reader = (await fetch(url)).body?.getReader();
    let text = '';
    while (!text.includes(': alive')) text += new TextDecoder().decode((await reader?.read())?.value);
    abort.abort();
    expect(text).toContain(': connected');
  });

  it('ends when its session has ended', async () => {
    const { url, abort } = await serve(silence, { heartbeatMs: 5, stillAllowed: async () => false });
    expect(await (await fetch(url)).text()).toContain(': connected');
    expect(abort.signal.aborted).toBe(true);
  });

  it('ends its source when the client goes away', async () => {
    const { url, abort, errors } = await serve(silence);
    const client = new AbortController();
    await fetch(url, { signal: client.signal });
    client.abort();
    await expect.poll(() => abort.signal.aborted).toBe(true);
    expect(errors).toEqual([]);
  });

  it('waits for a client that reads slowly instead of filling memory', async () => {
    let made = 0;
    const { url } = await serve(async function* () {
      for (; made < 2_000; made++) yield 'x'.repeat(100_000);
    });
    const answer = await fetch(url);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(made).toBeLessThan(2_000);
    await answer.body?.cancel();
  });

  it('tells of an error of its source and ends', async () => {
    const { url, errors } = await serve(async function* () {
      yield 1;
      throw new Error('broken');
    });
    expect(await (await fetch(url)).text()).toContain('data: 1');
    expect(errors).toEqual([expect.objectContaining({ message: 'broken' })]);
  });
});
