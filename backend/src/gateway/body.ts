import { isAscii } from 'node:buffer';
import { z } from 'zod';
import { CortexError } from '../../../contract/errors.ts';
import type { ParameterRule } from '../../../contract/routing.ts';
import { oneWriteBytes } from '../http/one-write.ts';
import { type Form, readForm, setTexts, textOf } from './form-body.ts';
import { outlineOf, setMember } from './json-edit.ts';
import { changedByRules, lengthNames } from './parameters.ts';
import type { EnginePath } from './surface.ts';

interface JsonTypes {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
  readonly object: Readonly<Record<string, unknown>>;
}
/**
 * What the gateway looks at, by JSON's types, each of which may be null or missing; all else goes to the engine untouched. A
 * table and not a schema of zod, which makes a new object of what it has looked at, for every request.
 */
const inspected = {
  model: 'string',
  stream: 'boolean',
  stream_options: 'object',
  n: 'number',
  best_of: 'number',
  n_cmpl: 'number',
  max_tokens: 'number',
  max_completion_tokens: 'number',
  max_output_tokens: 'number',
  n_predict: 'number',
} as const satisfies Readonly<Record<string, keyof JsonTypes>>;
type Inspected = { readonly [K in keyof typeof inspected]?: JsonTypes[(typeof inspected)[K]] | null };
const inspectedTypes = Object.entries(inspected);
const inspectedNames = Object.keys(inspected);
const choiceNames = ['n', 'best_of', 'n_cmpl'] as const;

/** Largest values that a request may ask for. */
export interface BodyCaps {
  readonly REQUEST_MAX_NESTING: number;
  readonly REQUEST_MAX_CHOICES: number;
  readonly REQUEST_MAX_TOKENS: number;
  readonly REQUEST_MAX_IMAGES: number;
}

export interface InspectedBody {
  readonly model: string;
  readonly streamed: boolean;
  /** The engine has to be asked for usage, and the client must not see that it was. */
  readonly asksUsage: boolean;
  /** The client names what its requests have in common: a session that should meet the same cache. */
  readonly session: string | null;
  readonly bytes: Buffer;
  /** A short body of ASCII alone, as text: to decode it once is enough. */
  readonly ascii: string | null;
  readonly contentType: string;
  /** The body, parsed; empty for a form. */
  readonly sent: Readonly<Record<string, unknown>>;
  /** Where the fields of a form stand; null is JSON. */
  readonly form: Form | null;
  readonly path: EnginePath;
}

/** @throws CortexError invalid_request */
export function inspectBody(bytes: Buffer, contentType: string, path: EnginePath, caps: BodyCaps): InspectedBody {
  if (path.body === 'form') return inspectForm(bytes, contentType, path);
  // Most bodies are ASCII, which is read several times as quickly.
  const ascii = isAscii(bytes);
  const text = bytes.toString(ascii ? 'latin1' : 'utf8');
  const { depth, members } = outlineOf(text, caps.REQUEST_MAX_NESTING);
  if (depth > caps.REQUEST_MAX_NESTING)
    throw invalid('', `it is nested deeper than ${caps.REQUEST_MAX_NESTING} levels`);
  const sent = asObject(parse(text));
  if (Object.keys(sent).length !== members)
    throw invalid('', 'a name stands in it twice, and engines differ in which of the two they read');
  refuseOtherSpellings(sent, inspectedNames);
  demandTypes(sent);
  const { model, stream, stream_options: options } = sent;
  if (!model) throw invalid('model', 'the name of a model is expected');
  const asked = options?.include_usage ?? undefined;
  if (asked !== undefined && typeof asked !== 'boolean')
    throw invalid('stream_options.include_usage', 'a boolean is expected');
  for (const name of choiceNames) atMost(name, sent[name], caps.REQUEST_MAX_CHOICES);
  for (const name of lengthNames) atMost(name, sent[name], caps.REQUEST_MAX_TOKENS);
  // What is looked for may be written in escapes.
  if (text.includes('image') || text.includes('\\u')) {
    const images = countImages(sent);
    if (images > caps.REQUEST_MAX_IMAGES)
      throw invalid('', `it holds ${images} images; ${caps.REQUEST_MAX_IMAGES} are allowed`);
  }
  const streamed = path.canStream && stream === true;
  return {
    model,
    streamed,
    asksUsage: streamed && path.asksUsage && asked !== true,
    session: textIn(sent, 'prompt_cache_key') ?? textIn(sent, 'user'),
    bytes,
    ascii: ascii && bytes.length <= oneWriteBytes ? text : null,
    contentType: 'application/json',
    sent,
    form: null,
    path,
  };
}

function inspectForm(bytes: Buffer, contentType: string, path: EnginePath): InspectedBody {
  const form = readForm(bytes, contentType);
  if (form === null) throw invalid('', 'a form (multipart/form-data) of the usual kind is expected');
  const model = formText(bytes, form, 'model');
  if (model === null || model === '') throw invalid('model', 'the form has no such field');
  const streamed = path.canStream && formText(bytes, form, 'stream')?.toLowerCase() === 'true';
  return { model, streamed, asksUsage: false, session: null, bytes, ascii: null, contentType, sent: {}, form, path };
}

/** @throws CortexError invalid_request where engines could differ in what they read */
function formText(bytes: Buffer, form: Form, name: string): string | null {
  const text = textOf(bytes, form, name);
  if (text === undefined) throw invalid(name, 'one short text is expected');
  return text;
}

/**
 * What the engine gets: the client's bytes, with its own name for the model, the administrator's rules and, where a stream
 * would not tell it, the question for usage. A text is ASCII.
 * @throws CortexError parameter_forbidden
 */
export function bodyForEngine(
  body: InspectedBody,
  engineModel: string,
  rules: Readonly<Record<string, ParameterRule>>,
): Buffer | string {
  if (body.form !== null) return formForEngine(body, body.form, engineModel, rules);
  const { sent, model, asksUsage, path } = body;
  let { bytes } = body;
  const ruled = Object.keys(rules);
  let options = sent.stream_options;
  if (ruled.length > 0) {
    refuseOtherSpellings(sent, ruled);
    const changed = changedByRules(new Map(Object.entries(sent)), rules, model, path.lengths);
    for (const [name, value] of changed) bytes = setMember(bytes, name, value, Object.hasOwn(sent, name));
    options = changed.get('stream_options') ?? options;
  }
  if (engineModel !== model) bytes = setMember(bytes, 'model', engineModel, true);
  if (!asksUsage) return bytes === body.bytes ? (body.ascii ?? bytes) : bytes;
  const others = z.looseObject({}).safeParse(options).data;
  return setMember(bytes, 'stream_options', { ...others, include_usage: true }, options !== undefined);
}

function formForEngine(
  { bytes, model, path }: InspectedBody,
  form: Form,
  engineModel: string,
  rules: Readonly<Record<string, ParameterRule>>,
): Buffer {
  const sent = new Map<string, unknown>();
  const ruled = Object.keys(rules);
  for (const name of ruled.length === 0 ? [] : [...ruled, ...lengthNames]) sent.set(name, formText(bytes, form, name));
  const texts = new Map<string, string>();
  for (const [name, value] of changedByRules(sent, rules, model, path.lengths))
    texts.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  if (engineModel !== model) texts.set('model', engineModel);
  return setTexts(bytes, form, texts);
}

function invalid(param: string, detail: string): CortexError {
  return new CortexError(
    'invalid_request',
    { detail: `${param || 'the body'}: ${detail}.` },
    param === '' ? {} : { param },
  );
}

function atMost(name: string, value: number | null | undefined, most: number): void {
  if (value !== null && value !== undefined && value > most) throw invalid(name, `at most ${most} here`);
}

/** @throws CortexError invalid_request */
function demandTypes(sent: Readonly<Record<string, unknown>>): asserts sent is Inspected & Record<string, unknown> {
  for (const [name, type] of inspectedTypes) {
    const value = sent[name];
    if (value === undefined || value === null) continue;
    const isFit = type === 'number' ? Number.isFinite(value) : typeof value === type && !Array.isArray(value);
    if (!isFit) throw invalid(name, `${type === 'object' ? 'an' : 'a'} ${type} is expected`);
  }
}

const textIn = (sent: Readonly<Record<string, unknown>>, name: string): string | null => {
  const value = sent[name];
  return typeof value === 'string' ? value : null;
};

const isPlain = /^[a-z0-9_]*$/;
/** As Go's JSON does it, for which also ſ is an s and the Kelvin sign a k. */
const folded = (name: string) => name.toUpperCase().toLowerCase();

/** Engines in Go take capitals in names for small letters: "Model" would be another model than the one that was allowed. */
function refuseOtherSpellings(sent: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  for (const name of Object.keys(sent)) {
    if (isPlain.test(name) || names.includes(name)) continue;
    const meant = names.find((known) => folded(known) === folded(name));
    if (meant !== undefined) throw invalid(meant, `it is written ${JSON.stringify(name)} here`);
  }
}

const imageTypes = new Set<unknown>(['image_url', 'input_image', 'image']);
/** vLLM reads a part without a type by these. */
const imageNames = ['image_url', 'image_embeds', 'image_pil'];

function countImages(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countImages(item), 0);
  if (typeof value !== 'object' || value === null) return 0;
  const isImage =
    ('type' in value && imageTypes.has(value.type)) || imageNames.some((name) => Object.hasOwn(value, name));
  const own = isImage ? 1 : 0;
  return Object.values(value).reduce<number>((sum, item) => sum + countImages(item), own);
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('', 'a JSON object is expected');
  return value as Record<string, unknown>;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CortexError('invalid_request', { detail: 'the body is not JSON.' }, { cause });
  }
}
