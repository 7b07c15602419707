/*
 * What the mock engine answers, known to the mock and to the load alike: every byte follows from the request, and each
 * lane (one connection of the load) gets its own, so that mixed-up answers are noticed as well.
 */

export const modelName = 'bench';
export const laneName = (lane: number): string => `lane-${String(lane).padStart(4, '0')}`;

const words = 'It measures what the gateway adds, and nothing of what a model would take. ';
const content = words.repeat(6).slice(0, 400);

const usage = { prompt_tokens: 24, completion_tokens: 80, total_tokens: 104 };

/** The document that a lane gets. */
export const jsonAnswer = (lane: string): string =>
  JSON.stringify({
    id: `chatcmpl-${lane}`,
    object: 'chat.completion',
    created: 1_700_000_000,
    model: modelName,
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage,
  });

const chunkHead = (lane: string) =>
  `data: {"id":"chatcmpl-${lane}","object":"chat.completion.chunk","created":1700000000,"model":"${modelName}",`;

export interface StreamShape {
  readonly lane: string;
  /** Events that bring a token. */
  readonly tokens: number;
  readonly withUsage: boolean;
}

/** The event of a stream at a place, or null behind its last one. */
export function streamEvent({ lane, tokens, withUsage }: StreamShape, place: number): string | null {
  if (place < tokens)
    return `${chunkHead(lane)}"choices":[{"index":0,"delta":{"content":" token-${String(place).padStart(6, '0')}"},"finish_reason":null}]}\n\n`;
  if (place === tokens) return `${chunkHead(lane)}"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`;
  if (withUsage && place === tokens + 1)
    return `${chunkHead(lane)}"choices":[],"usage":{"prompt_tokens":24,"completion_tokens":${tokens},"total_tokens":${24 + tokens}}}\n\n`;
  return place === tokens + (withUsage ? 2 : 1) ? 'data: [DONE]\n\n' : null;
}
