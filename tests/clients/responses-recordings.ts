/** What vLLM answers on /v1/responses. */

const text = 'Grüße 🙂';
const item = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [], logprobs: null }],
};
const head = {
  id: 'resp_1',
  object: 'response',
  created_at: 1_750_000_000,
  model: 'chatty',
  status: 'completed',
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: null,
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
};

export const responseAnswer = {
  ...head,
  output: [item],
  usage: {
    input_tokens: 7,
    input_tokens_details: { cached_tokens: 2 },
    output_tokens: 5,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 12,
  },
};

const begun = { ...head, status: 'in_progress', output: [], usage: null };
const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
const events: readonly { type: string; [more: string]: unknown }[] = [
  { type: 'response.created', response: begun },
  { type: 'response.in_progress', response: begun },
  { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress', content: [] } },
  { type: 'response.content_part.added', ...place, part: { type: 'output_text', text: '', annotations: [] } },
  { type: 'response.output_text.delta', ...place, delta: 'Grüße ' },
  { type: 'response.output_text.delta', ...place, delta: '🙂' },
  { type: 'response.output_text.done', ...place, text },
  { type: 'response.content_part.done', ...place, part: item.content[0] },
  { type: 'response.output_item.done', output_index: 0, item },
  { type: 'response.completed', response: responseAnswer },
];

/** The types of the stream's events, in their order. */
export const responseEventTypes = events.map(({ type }) => type);

/** The stream; the API has no [DONE]. */
export const responseStream = events.map(
  (data, index) => `event: ${data.type}\ndata: ${JSON.stringify({ ...data, sequence_number: index })}\n\n`,
);
