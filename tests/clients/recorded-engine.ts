import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { engineKey, type ScriptedEngine, type SeenRequest, sendFrames, sendJson } from '../fixtures/scripted-engine.ts';
import { anthropicMessage, anthropicStream } from './anthropic-recordings.ts';
import {
  type ChatKind,
  chatAnswers,
  chatStreams,
  completionAnswer,
  completionStream,
  embeddingAnswer,
  streamOf,
} from './recordings.ts';
import { responseFrames, responsesRecordings } from './responses-recordings.ts';

const streamable = z.looseObject({
  model: z.string(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
});
const part = z.looseObject({ type: z.string() });
const content = z.union([z.string(), z.array(part)]).nullish();
const chatBody = streamable.extend({
  messages: z
    .array(z.looseObject({ role: z.enum(['developer', 'system', 'user', 'assistant', 'tool']), content }))
    .min(1),
  temperature: z.number().min(0).max(2).nullish(),
  max_tokens: z.number().int().positive().nullish(),
  n: z.number().int().positive().nullish(),
  tools: z.array(z.looseObject({ type: z.literal('function') })).nullish(),
  response_format: z.looseObject({ type: z.enum(['text', 'json_object', 'json_schema']) }).nullish(),
  logprobs: z.boolean().nullish(),
});
const messagesBody = streamable.extend({
  messages: z.array(z.looseObject({ role: z.enum(['user', 'assistant']), content })).min(1),
  max_tokens: z.number().int().positive(),
  tools: z.array(z.looseObject({ name: z.string(), input_schema: z.looseObject({}) })).optional(),
});
const inputs = z.union([z.string(), z.array(z.unknown()).min(1)]);
const responsesBody = streamable.extend({
  input: inputs,
  tools: z.array(z.looseObject({ type: z.literal('function'), name: z.string() })).nullish(),
});

/** vLLM's words for what it does not take. */
const refuse = (response: ServerResponse, message: string, status = 400) =>
  sendJson(response, { error: { message, type: 'BadRequestError', param: null, code: status } }, status);

/**
 * Makes a scripted engine answer as vLLM's and llama-server's documented interfaces do, from the recordings: it chooses by
 * what the request asks for (tools, logprobs, n, response_format), or plays `kind`. It refuses what a real one refuses: a
 * wrong key, a path that it does not have, fields missing or out of range, stream_options without stream.
 */
export function playRecordings(engine: ScriptedEngine, kind?: ChatKind): void {
  engine.script = async (response, seen) => {
    const key = seen.headers.authorization?.replace(/^Bearer /, '');
    if (key !== engineKey) return sendJson(response, { error: 'Unauthorized' }, 401);
    const answer = answers[seen.path];
    if (answer === undefined) return sendJson(response, { detail: 'Not Found' }, 404);
    if (seen.headers['content-type'] !== 'application/json') return refuse(response, 'Unsupported Media Type', 415);
    const body: unknown = JSON.parse(seen.body);
    const { stream, stream_options: options } = streamable.parse(body);
    if (options != null && stream !== true)
      return refuse(response, 'Stream options can only be defined when `stream=True`.');
    return answer(response, body, seen, kind);
  };
}

type Answer = (
  response: ServerResponse,
  body: unknown,
  seen: SeenRequest,
  kind: ChatKind | undefined,
) => Promise<void> | void;

const checked =
  <S extends z.ZodType>(
    schema: S,
    answer: (response: ServerResponse, body: z.output<S>, kind: ChatKind | undefined) => Promise<void> | void,
  ): Answer =>
  (response, body, _seen, kind) => {
    const parsed = schema.safeParse(body);
    if (!parsed.success) return refuse(response, z.prettifyError(parsed.error));
    return answer(response, parsed.data, kind);
  };

async function play(response: ServerResponse, frames: readonly string[]): Promise<void> {
  await sendFrames(response, frames);
  response.end();
}

function kindOf(body: z.output<typeof chatBody>): ChatKind {
  const isAnswered = body.messages.some(({ role }) => role === 'tool');
  if (body.tools != null && !isAnswered) return 'toolCall';
  if (body.response_format?.type === 'json_schema') return 'structured';
  if (body.logprobs === true) return 'logprobs';
  return (body.n ?? 1) > 1 ? 'two' : 'text';
}

const answers: Readonly<Record<string, Answer>> = {
  '/v1/chat/completions': checked(chatBody, (response, body, kind = kindOf(body)) =>
    body.stream === true
      ? play(response, streamOf(chatStreams[kind], body.stream_options?.include_usage === true))
      : sendJson(response, chatAnswers[kind]),
  ),
  '/v1/completions': checked(streamable.extend({ prompt: inputs }), (response, body) =>
    body.stream === true
      ? play(response, [...completionStream, 'data: [DONE]\n\n'])
      : sendJson(response, completionAnswer),
  ),
  '/v1/embeddings': checked(
    streamable.extend({ input: inputs, encoding_format: z.enum(['float', 'base64']).optional() }),
    (response, { input, encoding_format: form }) =>
      sendJson(response, embeddingAnswer(Array.isArray(input) ? input.length : 1, form === 'base64')),
  ),
  '/v1/responses': checked(responsesBody, (response, { stream, tools }) => {
    const { text, toolCall } = responsesRecordings.vllm;
    const recording = tools == null ? text : toolCall;
    return stream === true ? play(response, responseFrames(recording)) : sendJson(response, recording.answer);
  }),
  '/v1/messages': checked(messagesBody, (response, body) => {
    const kind = body.tools === undefined ? 'text' : 'toolUse';
    return body.stream === true ? play(response, anthropicStream[kind]) : sendJson(response, anthropicMessage[kind]);
  }),
  '/v1/messages/count_tokens': checked(messagesBody.omit({ max_tokens: true }), (response) =>
    sendJson(response, { input_tokens: 7 }),
  ),
};
