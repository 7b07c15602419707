import { randomUUID } from 'node:crypto';

/** What a client has seen of one request. */
export interface SeenAnswer {
  readonly requestId: string;
  /** The whole answer came, to its last byte. */
  readonly complete: boolean;
  readonly completionTokens: number;
}

/** Clients that ask one request after the other until they are stopped, and write down what they saw. */
export class Load {
  readonly seen: SeenAnswer[] = [];
  /** Requests that got no answer at all, or an error. */
  failures = 0;
  /** Requests that were begun. */
  asked = 0;
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(api: string, token: string, model: string, clients: number) {
    this.#clients = Array.from({ length: clients }, (_, number) => this.#run(api, token, model, number % 2 === 0));
  }

  get complete(): readonly SeenAnswer[] {
    return this.seen.filter(({ complete }) => complete);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #run(api: string, token: string, model: string, stream: boolean): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#ask(api, token, model, stream);
      } catch {
        this.failures += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #ask(api: string, token: string, model: string, stream: boolean): Promise<void> {
    this.asked += 1;
    const answer = await fetch(`${api}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: randomUUID() }] }),
      signal: AbortSignal.timeout(10_000),
    });
    const requestId = answer.headers.get('x-request-id') ?? '';
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    let text = '';
    try {
      text = await answer.text();
    } catch {
      this.seen.push({ requestId, complete: false, completionTokens: 0 });
      throw new Error('cut');
    }
    const complete = stream ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}');
    this.seen.push({ requestId, complete, completionTokens: Number(/tokens-(\d+)/.exec(text)?.[1]) });
  }
}
