import { type CortexError, type ErrorType, toErrorBody } from '../../../contract/errors.ts';

/** Whose clients read an error: OpenAI's, those of its Responses API, or Anthropic's. */
export type ErrorShape = 'openai' | 'responses' | 'anthropic';

// https://docs.anthropic.com/en/api/errors names these types.
const anthropicTypes: Readonly<Record<ErrorType, string>> = {
  invalid_request_error: 'invalid_request_error',
  authentication_error: 'authentication_error',
  permission_error: 'permission_error',
  not_found_error: 'not_found_error',
  conflict_error: 'invalid_request_error',
  rate_limit_error: 'rate_limit_error',
  service_unavailable_error: 'overloaded_error',
  server_error: 'api_error',
};

/** The body of an error answer in the shape that the path's clients read. */
export function errorAnswer(error: CortexError, requestId: string, shape: ErrorShape): object {
  const body = toErrorBody(error, requestId);
  if (shape !== 'anthropic') return body;
  return {
    type: 'error',
    error: { type: anthropicTypes[error.type], message: `${error.message} ${error.hint}` },
    request_id: requestId,
  };
}

/**
 * An error as the last event of a stream.
 * @param before how many events went before it
 */
export function errorEvent(error: CortexError, requestId: string, shape: ErrorShape, before: number): string {
  if (shape === 'openai') return `data: ${JSON.stringify(errorAnswer(error, requestId, shape))}\n\n`;
  if (shape === 'anthropic') return `event: error\ndata: ${JSON.stringify(errorAnswer(error, requestId, shape))}\n\n`;
  const { code, message, param } = error;
  // The API's event has its fields at the top; OpenAI's own clients throw only where they find `error`.
  const event = { type: 'error', code, message, param, sequence_number: before, ...toErrorBody(error, requestId) };
  return `event: error\ndata: ${JSON.stringify(event)}\n\n`;
}
