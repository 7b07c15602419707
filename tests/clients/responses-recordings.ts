/**
 * What engines answer on /v1/responses.
 *
 * vLLM: vllm/entrypoints/openai/responses/ (protocol.py, serving.py, streaming_events.py). Its events are openai-python's
 * models, each written out with its fields that are null.
 * llama-server: tools/server/server-task.cpp (`to_json_oaicompat_resp` and what stands beside it).
 * OpenAI's own, which an external endpoint may be: how a response ends that fails or becomes too long.
 */

type Event = Readonly<Record<string, unknown>> & { readonly type: string };

export interface ResponsesRecording {
  readonly answer: Readonly<Record<string, unknown>>;
  readonly events: readonly Event[];
}

const createdAt = 1_750_000_000;
const text = 'Grüße 🙂';
const words = ['Grüße ', '🙂'];
const callArguments = ['{"city":', '"Köln"}'];
const thought = 'A greeting.';
const weather = { type: 'function', name: 'weather', description: null, parameters: { type: 'object' }, strict: true };

const counts = { input_tokens: 7, output_tokens: 5, total_tokens: 12 };
const vllmUsage = {
  ...counts,
  input_tokens_details: { cached_tokens: 2, input_tokens_per_turn: [], cached_tokens_per_turn: [] },
  output_tokens_details: { reasoning_tokens: 0, tool_output_tokens: 0 },
};
const vllmHead = {
  id: 'resp_1',
  created_at: createdAt,
  incomplete_details: null,
  instructions: null,
  metadata: null,
  model: 'chatty',
  object: 'response',
  output: [],
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
  background: false,
  max_output_tokens: 4096,
  max_tool_calls: null,
  previous_response_id: null,
  prompt: null,
  reasoning: null,
  service_tier: 'auto',
  status: 'completed',
  text: null,
  top_logprobs: null,
  truncation: 'disabled',
  usage: null,
  user: null,
  input_messages: null,
  output_messages: null,
};

const numbered = (events: readonly Event[]): readonly Event[] =>
  events.map((event, index) => ({ ...event, sequence_number: index }));

/** A recording of one output item: `inside` is what its events tell between its beginning and its end. */
function ofVllm(item: object, begun: object, inside: readonly Event[], tools: readonly object[] = []) {
  const answer = { ...vllmHead, tools, output: [item], usage: vllmUsage };
  const response = { ...vllmHead, tools, status: 'in_progress' };
  const events = numbered([
    { type: 'response.created', response },
    { type: 'response.in_progress', response },
    { type: 'response.output_item.added', output_index: 0, item: begun },
    ...inside,
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: answer },
  ]);
  return { answer, events };
}

const place = { item_id: 'item_1', output_index: 0 };
const inPart = { ...place, content_index: 0 };
const part = { annotations: [], text, type: 'output_text', logprobs: null };
const message = { id: 'item_1', content: [part], role: 'assistant', status: 'completed', type: 'message', phase: null };
const call = {
  arguments: callArguments.join(''),
  call_id: 'call_1',
  name: 'weather',
  type: 'function_call',
  id: 'item_1',
  status: 'completed',
};
const reasoningPart = { text: thought, type: 'reasoning_text' };
const reasoning = {
  id: 'item_1',
  summary: [],
  type: 'reasoning',
  content: [reasoningPart],
  encrypted_content: null,
  status: 'completed',
};

const vllm = {
  text: ofVllm(message, { ...message, content: [], status: 'in_progress' }, [
    { type: 'response.content_part.added', ...inPart, part: { ...part, text: '', logprobs: [] } },
    ...words.map((delta) => ({ type: 'response.output_text.delta', ...inPart, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...inPart, logprobs: [], text },
    { type: 'response.content_part.done', ...inPart, part },
  ]),
  toolCall: ofVllm(
    call,
    { ...call, arguments: '', status: 'in_progress' },
    [
      ...callArguments.map((delta) => ({ type: 'response.function_call_arguments.delta', ...place, delta })),
      { type: 'response.function_call_arguments.done', ...place, arguments: call.arguments, name: 'weather' },
    ],
    [weather],
  ),
  reasoning: ofVllm(reasoning, { ...reasoning, content: null, status: 'in_progress' }, [
    { type: 'response.reasoning_part.added', ...inPart, part: { ...reasoningPart, text: '' } },
    { type: 'response.reasoning_text.delta', ...inPart, delta: thought },
    { type: 'response.reasoning_text.done', ...inPart, text: thought },
    { type: 'response.reasoning_part.done', ...inPart, part: reasoningPart },
  ]),
} satisfies Record<string, ResponsesRecording>;

const llamaHead = { id: 'resp_1', object: 'response', created_at: createdAt, status: 'completed', model: 'chatty' };
const llamaBegun = { response: { id: 'resp_1', object: 'response', status: 'in_progress' } };
const llamaUsage = { ...counts, input_tokens_details: { cached_tokens: 2 } };
const llamaPart = { type: 'output_text', annotations: [], logprobs: [], text };
const llamaMessage = { type: 'message', status: 'completed', id: 'msg_1', content: [llamaPart], role: 'assistant' };
const llamaCall = { ...call, id: 'fc_1' };

function ofLlama(item: object, inside: readonly Event[]) {
  const answer = { completed_at: createdAt, ...llamaHead, output: [item], usage: llamaUsage };
  const events = [
    { type: 'response.created', ...llamaBegun },
    { type: 'response.in_progress', ...llamaBegun },
    ...inside,
    { type: 'response.output_item.done', item },
    { type: 'response.completed', response: { ...llamaHead, output: [item], usage: llamaUsage } },
  ];
  return { answer, events };
}

const llama = {
  text: ofLlama(llamaMessage, [
    { type: 'response.output_item.added', item: { ...llamaMessage, content: [], status: 'in_progress' } },
    { type: 'response.content_part.added', item_id: 'msg_1', part: { type: 'output_text', text: '' } },
    ...words.map((delta) => ({ type: 'response.output_text.delta', item_id: 'msg_1', delta })),
    { type: 'response.output_text.done', item_id: 'msg_1', text },
    { type: 'response.content_part.done', item_id: 'msg_1', part: llamaPart },
  ]),
  toolCall: ofLlama(llamaCall, [
    { type: 'response.output_item.added', item: { ...llamaCall, arguments: '', status: 'in_progress' } },
    ...callArguments.map((delta) => ({ type: 'response.function_call_arguments.delta', delta, item_id: 'fc_1' })),
  ]),
} satisfies Record<string, ResponsesRecording>;

const openAiHead = {
  id: 'resp_1',
  object: 'response',
  created_at: createdAt,
  status: 'in_progress',
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: 'chatty',
  output: [],
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
  usage: null,
};

function ofOpenAi(end: { status: 'failed' | 'incomplete'; [more: string]: unknown }) {
  const answer = { ...openAiHead, ...end };
  const events = numbered([
    { type: 'response.created', response: openAiHead },
    { type: 'response.in_progress', response: openAiHead },
    { type: `response.${end.status}`, response: answer },
  ]);
  return { answer, events };
}

const openAi = {
  failed: ofOpenAi({ status: 'failed', error: { code: 'server_error', message: 'The model failed.' } }),
  incomplete: ofOpenAi({
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    usage: {
      ...counts,
      input_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 },
    },
  }),
} satisfies Record<string, ResponsesRecording>;

export const responsesRecordings = { vllm, llama, openAi };

/** The stream; the API has no [DONE]. */
export const responseFrames = ({ events }: ResponsesRecording): string[] =>
  events.map((data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`);
