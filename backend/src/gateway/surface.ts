import type { Scope } from '../../../contract/keys.ts';
import type { Task } from '../../../contract/models.ts';
import type { ErrorShape } from './error-shape.ts';
import type { LengthName } from './parameters.ts';

/** A path of /v1 that an engine answers. */
export interface EnginePath {
  readonly scope: Scope;
  /** What the model must serve; null leaves it to the engine. */
  readonly task: Task | null;
  /** The engine's path where it is another one. */
  readonly enginePath?: string;
  readonly canStream: boolean;
  /** Streams tell their usage only when `stream_options` asks. */
  readonly asksUsage: boolean;
  readonly body: 'json' | 'form';
  readonly errors: ErrorShape;
  /** False where tokens are only counted, not used: such answers speak of tokens that nobody spent. */
  readonly isCounted: boolean;
  /** What the API calls how long an answer may become; nothing where answers have no length to be chosen. */
  readonly lengths: readonly LengthName[];
}

const path = (scope: Scope, task: Task | null, more: Partial<EnginePath> = {}): EnginePath => ({
  scope,
  task,
  canStream: false,
  asksUsage: false,
  body: 'json',
  errors: 'openai',
  isCounted: true,
  lengths: [],
  ...more,
});

/**
 * Everything under /v1 that goes to an engine. Which of them an engine has is the engine's to say: vLLM and llama.cpp grow
 * faster than any table here (vLLM: docs/serving/openai_compatible_server, llama.cpp: tools/server/README).
 */
export const enginePaths: Readonly<Record<string, EnginePath>> = {
  '/v1/chat/completions': path('chat', 'generate', {
    canStream: true,
    asksUsage: true,
    lengths: ['max_tokens', 'max_completion_tokens'],
  }),
  '/v1/completions': path('completions', 'generate', { canStream: true, asksUsage: true, lengths: ['max_tokens'] }),
  '/v1/responses': path('responses', 'generate', {
    canStream: true,
    errors: 'responses',
    lengths: ['max_output_tokens'],
  }),
  '/v1/messages': path('messages', 'generate', { canStream: true, errors: 'anthropic', lengths: ['max_tokens'] }),
  '/v1/messages/count_tokens': path('messages', 'generate', { errors: 'anthropic', isCounted: false }),
  '/v1/embeddings': path('embeddings', 'embed'),
  '/v1/rerank': path('rerank', null),
  '/v1/score': path('rerank', null),
  '/v1/audio/transcriptions': path('audio', null, { canStream: true, body: 'form' }),
  '/v1/audio/speech': path('audio', null),
  '/v1/tokenize': path('tokenize', null, { enginePath: '/tokenize', isCounted: false }),
  '/v1/detokenize': path('tokenize', null, { enginePath: '/detokenize', isCounted: false }),
};

export const enginePathOf = (name: string): EnginePath | undefined =>
  Object.hasOwn(enginePaths, name) ? enginePaths[name] : undefined;

/** OpenTelemetry's names for what is done (gen_ai.operation.name). */
export function operationOf(endpoint: string): string {
  if (endpoint === '/v1/completions') return 'text_completion';
  if (endpoint === '/v1/embeddings') return 'embeddings';
  return endpoint.startsWith('/v1/chat') || endpoint === '/v1/responses' || endpoint.startsWith('/v1/messages')
    ? 'chat'
    : endpoint.slice('/v1/'.length);
}
