/** What vLLM and llama-server answer on /v1/messages, in the form that Anthropic documents. */

const event = (data: { type: string; [more: string]: unknown }) =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const head = { id: 'msg_1', type: 'message', role: 'assistant', model: 'chatty' };
const usage = { input_tokens: 7, output_tokens: 5 };
const use = { type: 'tool_use', id: 'toolu_1', name: 'weather' };

export const anthropicMessage = {
  text: { ...head, content: [{ type: 'text', text: 'Grüße 🙂' }], stop_reason: 'end_turn', stop_sequence: null, usage },
  toolUse: {
    ...head,
    content: [{ ...use, input: { city: 'Köln' } }],
    stop_reason: 'tool_use',
    stop_sequence: null,
    usage,
  },
};

const wrap = (stopReason: string, block: readonly string[]) => [
  event({
    type: 'message_start',
    message: {
      ...head,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 7, output_tokens: 0 },
    },
  }),
  ...block,
  event({ type: 'content_block_stop', index: 0 }),
  event({ type: 'message_delta', delta: { stop_reason: stopReason, stop_sequence: null }, usage }),
  event({ type: 'message_stop' }),
];
const startOf = (block: object) => event({ type: 'content_block_start', index: 0, content_block: block });
const deltaOf = (delta: object) => event({ type: 'content_block_delta', index: 0, delta });

/** Streams; the API has no [DONE]. */
export const anthropicStream = {
  text: wrap('end_turn', [
    startOf({ type: 'text', text: '' }),
    event({ type: 'ping' }),
    deltaOf({ type: 'text_delta', text: 'Grüße ' }),
    deltaOf({ type: 'text_delta', text: '🙂' }),
  ]),
  toolUse: wrap('tool_use', [
    startOf({ ...use, input: {} }),
    deltaOf({ type: 'input_json_delta', partial_json: '{"city":' }),
    deltaOf({ type: 'input_json_delta', partial_json: '"Köln"}' }),
  ]),
};
