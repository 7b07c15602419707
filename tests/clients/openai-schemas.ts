import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import { z } from 'zod';

const published = z
  .object({ $id: z.string(), $defs: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync(new URL('openai-schemas.json', import.meta.url), 'utf8')));
// Formats as `unixtime` and keywords as `discriminator` belong to OpenAPI and add nothing to the check.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).addSchema(published);

type SchemaName =
  | 'CreateChatCompletionResponse'
  | 'CreateChatCompletionStreamResponse'
  | 'CreateCompletionResponse'
  | 'CreateEmbeddingResponse'
  | 'ListModelsResponse'
  | 'Model'
  | 'Response'
  | 'ResponseStreamEvent'
  | 'CreateTranscriptionResponseJson'
  | 'CreateTranscriptionResponseVerboseJson'
  | 'CreateTranscriptionResponseStreamEvent'
  | 'CreateSpeechResponseStreamEvent'
  | 'ErrorResponse';

/** What OpenAI's published schema says against this answer; nothing where it is of the schema's shape. */
export function against(name: SchemaName, answer: unknown): string {
  const $ref = published.$id + (refOfEvent(name, answer) ?? `#/$defs/${name}`);
  return ajv.validate({ $ref }, answer) ? '' : ajv.errorsText();
}

const event = z.object({ type: z.string() });
const events = z.object({ anyOf: z.array(z.object({ $ref: z.string() })) });
const types = z.object({ properties: z.object({ type: z.object({ enum: z.array(z.string()) }) }) });

/** Of a stream's events the one that this is by its type: what it lacks of all the others would hide what is wrong with it. */
function refOfEvent(name: SchemaName, answer: unknown): string | undefined {
  const type = event.safeParse(answer).data?.type;
  const refs = events.safeParse(published.$defs[name]).data?.anyOf;
  const typesOf = ($ref: string) =>
    types.safeParse(published.$defs[$ref.split('/').at(-1) ?? '']).data?.properties.type.enum;
  return type === undefined ? undefined : refs?.find(({ $ref }) => typesOf($ref)?.includes(type))?.$ref;
}

export function expectPublishedShape(name: SchemaName, answer: unknown): void {
  expect(against(name, answer), `${name}: ${JSON.stringify(answer)}`).toBe('');
}
