import { laneName, modelName } from './answers.ts';

export interface RequestShape {
  readonly headers: Readonly<Record<string, string>>;
  readonly lane: number;
  readonly stream?: { readonly tokens: number; readonly perSecond: number };
  /** Size of the prompt; short without. */
  readonly promptBytes?: number;
}

const question = 'What does the gateway add to what the engine takes, and where does it go?';

/** A whole request as it goes to the socket: the same bytes for every target but for the headers it needs. */
export function requestBytes({ headers, lane, stream, promptBytes = 0 }: RequestShape): Buffer {
  const text = question.repeat(Math.max(1, Math.ceil(promptBytes / question.length)));
  const body = JSON.stringify({
    model: modelName,
    user: laneName(lane),
    ...(stream === undefined ? {} : { stream: true, max_tokens: stream.tokens, seed: stream.perSecond }),
    messages: [
      { role: 'system', content: 'Answer in one sentence.' },
      { role: 'user', content: text },
    ],
  });
  const lines = Object.entries({
    host: '127.0.0.1',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST /v1/chat/completions HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}
