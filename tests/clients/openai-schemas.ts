import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

const published = JSON.parse(readFileSync(new URL('openai-schemas.json', import.meta.url), 'utf8'));
// Formats as `unixtime` and keywords as `discriminator` belong to OpenAPI and add nothing to the check.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).addSchema(published);

type SchemaName =
  | 'CreateChatCompletionResponse'
  | 'CreateChatCompletionStreamResponse'
  | 'CreateCompletionResponse'
  | 'CreateEmbeddingResponse'
  | 'ListModelsResponse'
  | 'Model'
  | 'ErrorResponse';

/** Fails with what OpenAI's published schema says against this answer. */
export function expectPublishedShape(name: SchemaName, answer: unknown): void {
  const isValid = ajv.validate({ $ref: `${published.$id}#/$defs/${name}` }, answer);
  expect(isValid, `${name}: ${ajv.errorsText()}: ${JSON.stringify(answer)}`).toBe(true);
}
