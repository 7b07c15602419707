// Writes openai-schemas.json from OpenAI's API document. Run: node tests/clients/extract-openai-schemas.mjs PATH/openapi.json
import { readFileSync, writeFileSync } from 'node:fs';

const wanted = [
  'CreateChatCompletionResponse',
  'CreateChatCompletionStreamResponse',
  'CreateCompletionResponse',
  'CreateEmbeddingResponse',
  'ListModelsResponse',
  'Model',
  'Response',
  'ResponseStreamEvent',
  'CreateTranscriptionResponseJson',
  'CreateTranscriptionResponseVerboseJson',
  'CreateTranscriptionResponseStreamEvent',
  'CreateSpeechResponseStreamEvent',
  'ErrorResponse',
];
const left = new Set(['description', 'example', 'examples', 'title', 'deprecated', '$recursiveAnchor']);
const local = '#/components/schemas/';

const file = process.argv[2];
if (file === undefined) throw new Error('name the openapi.json of github.com/openai/openai-openapi');
const { info, components } = JSON.parse(readFileSync(file, 'utf8'));

/** A schema that means itself by `$recursiveRef`, a word that JSON Schema has given up, names itself. */
const named = (name) =>
  JSON.parse(
    JSON.stringify(components.schemas[name]).replaceAll(
      '"$recursiveRef":"#"',
      JSON.stringify({ $ref: local + name }).slice(1, -1),
    ),
  );

/**
 * A schema without what only readers need, and with OpenAPI 3.0's `nullable`, which some still have, in the words of JSON
 * Schema. The members of `properties` are names, not keywords.
 */
function bare(schema, areNames = false) {
  if (Array.isArray(schema)) return schema.map((item) => bare(item));
  if (typeof schema !== 'object' || schema === null) return schema;
  if (!areNames && schema.nullable === true) {
    const { nullable: _, ...other } = schema;
    return { anyOf: [bare(other), { type: 'null' }] };
  }
  const kept = Object.entries(schema).filter(([key]) => areNames || !(left.has(key) || key.startsWith('x-')));
  return Object.fromEntries(
    kept.map(([key, value]) => [
      key,
      key === '$ref' ? value.replace(local, '#/$defs/') : bare(value, !areNames && key === 'properties'),
    ]),
  );
}

const found = {};
const todo = [...wanted];
for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
  if (name in found) continue;
  found[name] = bare(named(name));
  for (const [, other] of JSON.stringify(found[name]).matchAll(/"#\/\$defs\/([^"]+)"/g)) todo.push(other);
}
const $defs = Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
const document = { $id: 'https://api.openai.com/v1', $comment: `OpenAI API ${info.version}, MIT`, $defs };
writeFileSync(new URL('openai-schemas.json', import.meta.url), `${JSON.stringify(document, null, 2)}\n`);
