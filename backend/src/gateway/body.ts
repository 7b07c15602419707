import { isAscii } from 'node:buffer';
import { z } from 'zod';
import { CortexError } from '../../../contract/errors.ts';
import type { ParameterRule } from '../../../contract/routing.ts';
import { type Form, readForm, setTexts, textOf } from './form-body.ts';
import { outlineOf, setMember } from './json-edit.ts';
import { changedByRules, lengthNames } from './parameters.ts';
import type { EnginePath } from './surface.ts';

/** What the gateway looks at; all else goes to the engine untouched. */
const inspected = z.object({
  model: z.string().min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.number().nullish(),
  best_of: z.number().nullish(),
  n_cmpl: z.number().nullish(),
  max_tokens: z.number().nullish(),
  max_completion_tokens: z.number().nullish(),
  max_output_tokens: z.number().nullish(),
  n_predict: z.number().nullish(),
  user: z.string().nullish().catch(undefined),
  prompt_cache_key: z.string().nullish().catch(undefined),
});
const inspectedNames = Object.keys(inspected.shape);

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
  const text = bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8');
  const { depth, members } = outlineOf(text, caps.REQUEST_MAX_NESTING);
  if (depth > caps.REQUEST_MAX_NESTING)
    throw invalid('', `it is nested deeper than ${caps.REQUEST_MAX_NESTING} levels`);
  const sent = asObject(parse(text));
  if (Object.keys(sent).length !== members)
    throw invalid('', 'a name stands in it twice, and engines differ in which of the two they read');
  refuseOtherSpellings(sent, inspectedNames);
  const parsed = inspected.safeParse(sent);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(issue?.path.join('.') ?? '', issue?.message ?? 'not valid');
  }
  const { model, stream, stream_options: options, user, prompt_cache_key: cacheKey, ...numbers } = parsed.data;
  for (const name of ['n', 'best_of', 'n_cmpl'] as const) atMost(name, numbers[name], caps.REQUEST_MAX_CHOICES);
  for (const name of lengthNames) atMost(name, numbers[name], caps.REQUEST_MAX_TOKENS);
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
    asksUsage: streamed && path.asksUsage && options?.include_usage !== true,
    session: cacheKey ?? user ?? null,
    bytes,
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
  return { model, streamed, asksUsage: false, session: null, bytes, contentType, sent: {}, form, path };
}

/** @throws CortexError invalid_request where engines could differ in what they read */
function formText(bytes: Buffer, form: Form, name: string): string | null {
  const text = textOf(bytes, form, name);
  if (text === undefined) throw invalid(name, 'one short text is expected');
  return text;
}

/**
 * What the engine gets: the client's bytes, with its own name for the model, the administrator's rules and, where a stream
 * would not tell it, the question for usage.
 * @throws CortexError parameter_forbidden
 */
export function bodyForEngine(
  body: InspectedBody,
  engineModel: string,
  rules: Readonly<Record<string, ParameterRule>>,
): Buffer {
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
  if (!asksUsage) return bytes;
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
