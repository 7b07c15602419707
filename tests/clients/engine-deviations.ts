/**
 * Where engines' answers on /v1/responses and /v1/audio are of another shape than OpenAI's document describes, and what they would be
 * otherwise. The gateway passes an engine's bytes on, so what a client sees of this is the engine's own.
 */

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** Each object inside, the innermost first, as `mend` would have it. */
const mended = (answer: unknown, mend: (object: Json, key: string) => Json): unknown =>
  JSON.parse(JSON.stringify(answer), (key, value: unknown) => (isObject(value) ? mend(value, key) : value));
const without = (object: Json, isLeftOut: (key: string) => boolean): Json =>
  Object.fromEntries(Object.entries(object).filter(([key, value]) => value !== null || !isLeftOut(key)));

/**
 * protocol.py: `ResponsesResponse` has no `error` and `InputTokensDetails` no `cache_write_tokens`; what is None is written
 * as null. streaming_events.py: the parts of a reasoning have events of their own, in place of response.content_part's.
 * speech_to_text/protocol.py: a transcription's duration is a text, and None is null.
 */
function vllm(object: Json, key: string): Json {
  if (key === 'input_tokens_details') return { cache_write_tokens: 0, ...object };
  if (object.object === 'response')
    return { error: null, ...without(object, (name) => /^(?:text|usage|user)$/.test(name)) };
  if (object.type === 'output_text') return { ...object, logprobs: object.logprobs ?? [] };
  if ('no_speech_prob' in object) return { ...object, no_speech_prob: object.no_speech_prob ?? 0 };
  if (typeof object.duration === 'string') return { ...without(object, () => true), duration: Number(object.duration) };
  if (object.type === 'reasoning') return without(object, (name) => name === 'content');
  if (typeof object.type !== 'string' || !object.type.startsWith('response.reasoning_part.')) return object;
  return { ...object, type: object.type.replace('reasoning_part', 'content_part') };
}

/**
 * server-task.cpp: `to_json_oaicompat_resp` and `to_json_oaicompat_resp_stream` tell of a response what changes and nothing
 * of what was asked for; events say neither their number nor their place.
 */
function llama(object: Json, key: string): Json {
  if (key === 'input_tokens_details') return { cache_write_tokens: 0, ...object };
  if (key === 'usage') return { output_tokens_details: { reasoning_tokens: 0 }, ...object };
  if (object.type === 'output_text') return { annotations: [], logprobs: [], ...object };
  if (object.object === 'response') return { ...unsaid, ...object };
  if (typeof object.type !== 'string' || !object.type.startsWith('response.')) return object;
  const isOfText = object.type.startsWith('response.output_text.');
  return { sequence_number: 0, output_index: 0, content_index: 0, ...(isOfText ? { logprobs: [] } : {}), ...object };
}
const unsaid = {
  created_at: 0,
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: null,
  model: '',
  output: [],
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
};

/** The document's own examples have null for the usage that it says is an object. */
const openAi = (object: Json): Json =>
  object.object === 'response' ? without(object, (name) => name === 'usage') : object;

export const asPublished = {
  vllm: (answer: unknown) => mended(answer, vllm),
  llama: (answer: unknown) => mended(answer, llama),
  openAi: (answer: unknown) => mended(answer, openAi),
};
