/** What vLLM and llama-server answer, byte for byte; the comments name whose habit each is. */

const event = (data: unknown, lineEnd = '\n') => `data: ${JSON.stringify(data)}${lineEnd}${lineEnd}`;
export const done = 'data: [DONE]\n\n';

const head = { id: 'chatcmpl-9f2c', object: 'chat.completion.chunk', created: 1_750_000_000, model: 'chatty' };
const chunk = (delta: object, more: { index?: number; finish?: string; logprobs?: object } = {}) =>
  event({
    ...head,
    choices: [{ index: more.index ?? 0, delta, logprobs: more.logprobs ?? null, finish_reason: more.finish ?? null }],
  });
const usage = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };
/** What an engine adds only where usage is asked for. */
export const usageFrame = event({ ...head, choices: [], usage });
const ending = (finish = 'stop') => chunk({}, { finish });
const opening = chunk({ role: 'assistant', content: '' });

export const multiByteText = 'Grüße, 世界 🙂👩‍👩‍👧!';
const words = ['Grüße', ', 世', '界 🙂', '👩‍👩‍👧', '!'];
const logprobs = {
  content: [
    {
      token: 'Hi',
      logprob: -0.25,
      bytes: [72, 105],
      top_logprobs: [{ token: 'Hi', logprob: -0.25, bytes: [72, 105] }],
    },
  ],
  refusal: null,
};
const callArguments = ['{"ci', 'ty":"Kö', 'ln"}'];

/** Streams of /v1/chat/completions, without the usage chunk and [DONE], which `streamOf` adds. */
export const chatStreams = {
  text: [opening, ...words.map((content) => chunk({ content })), ending()],
  toolCall: [
    opening,
    chunk({
      tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }],
    }),
    ...callArguments.map((part) => chunk({ tool_calls: [{ index: 0, function: { arguments: part } }] })),
    ending('tool_calls'),
  ],
  logprobs: [opening, chunk({ content: 'Hi' }, { logprobs }), ending()],
  two: [
    opening,
    chunk({ role: 'assistant', content: '' }, { index: 1 }),
    chunk({ content: 'one' }),
    chunk({ content: 'two' }, { index: 1 }),
    ending(),
    chunk({}, { index: 1, finish: 'stop' }),
  ],
  structured: [opening, chunk({ content: '{"city":' }), chunk({ content: '"Köln","degrees":21}' }), ending()],
  reasoning: [
    opening,
    chunk({ reasoning_content: 'The user ' }),
    chunk({ reasoning_content: 'greets.' }),
    chunk({ content: 'Hello' }),
    ending(),
  ],
  large: [opening, ...['a', 'b', 'c'].map((letter) => chunk({ content: letter.repeat(8 * 1024) })), ending()],
} as const;
export type ChatKind = keyof typeof chatStreams;

/** A whole stream as the engine sends it. */
export const streamOf = (frames: readonly string[], withUsage: boolean) => [
  ...frames,
  ...(withUsage ? [usageFrame] : []),
  done,
];

/** sse-starlette, below some proxies and older vLLM, ends lines so. */
export const withCrlf = (frames: readonly string[]) => frames.map((frame) => frame.replaceAll('\n', '\r\n'));

/** How vLLM tells that it failed when the status is out already. */
export const errorFrame = event({
  error: { object: 'error', message: 'CUDA out of memory', type: 'InternalServerError', param: null, code: 500 },
});

const answerHead = { id: 'chatcmpl-9f2c', object: 'chat.completion', created: 1_750_000_000, model: 'chatty', usage };
const choice = (message: object, more: { index?: number; finish?: string; logprobs?: object } = {}) => ({
  index: more.index ?? 0,
  message: { role: 'assistant', content: null, refusal: null, ...message },
  logprobs: more.logprobs ?? null,
  finish_reason: more.finish ?? 'stop',
});
const callOf = (name: string, text: string) => ({
  id: 'call_1',
  type: 'function',
  function: { name, arguments: text },
});

/** Documents of /v1/chat/completions. */
export const chatAnswers: Readonly<Record<ChatKind, object>> = {
  text: { ...answerHead, choices: [choice({ content: multiByteText })] },
  toolCall: {
    ...answerHead,
    choices: [choice({ tool_calls: [callOf('weather', callArguments.join(''))] }, { finish: 'tool_calls' })],
  },
  logprobs: { ...answerHead, choices: [choice({ content: 'Hi' }, { logprobs })] },
  two: { ...answerHead, choices: [choice({ content: 'one' }), choice({ content: 'two' }, { index: 1 })] },
  structured: { ...answerHead, choices: [choice({ content: '{"city":"Köln","degrees":21}' })] },
  reasoning: { ...answerHead, choices: [choice({ content: 'Hello', reasoning_content: 'The user greets.' })] },
  large: { ...answerHead, choices: [choice({ content: 'a'.repeat(24 * 1024) })] },
};

export const completionAnswer = {
  id: 'cmpl-1',
  object: 'text_completion',
  created: 1_750_000_000,
  model: 'chatty',
  choices: [{ index: 0, text: ' there was', logprobs: null, finish_reason: 'length' }],
  usage,
};

const completionHead = { id: 'cmpl-1', object: 'text_completion', created: 1_750_000_000, model: 'chatty' };
export const completionStream = [
  event({ ...completionHead, choices: [{ index: 0, text: ' there', logprobs: null, finish_reason: null }] }),
  event({ ...completionHead, choices: [{ index: 0, text: ' was', logprobs: null, finish_reason: 'length' }] }),
];

export const vector = [0.5, -1, 0.25];
const packed = Buffer.from(Float32Array.from(vector).buffer).toString('base64');
/** One vector for each input, in the form that was asked for. */
export const embeddingAnswer = (inputs: number, asBase64: boolean) => ({
  object: 'list',
  model: 'vectors',
  data: Array.from({ length: inputs }, (_, index) => ({
    object: 'embedding',
    index,
    embedding: asBase64 ? packed : vector,
  })),
  usage: { prompt_tokens: 4 * inputs, total_tokens: 4 * inputs },
});
