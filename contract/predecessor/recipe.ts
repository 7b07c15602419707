import { llamacppOptions, vllmOptions } from '../engine-options/schema.ts';
import { type Engine, engine as engineName } from '../models.ts';
import { type ImportNote, type ReadRecipe, recipeContent, recipeName } from '../recipes.ts';
import { type Meaning, meaningOf } from './fields.ts';
import { readArguments, readVariables, type Startup } from './startup.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Whether this is a recipe (or a model) of the Python Cortex. */
export const isPredecessorRecipe = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && 'engine_type' in value;

const handled = new Set([
  ...['name', 'recipe_name', 'model_name', 'served_model_name', 'description', 'task', 'engine_type', 'mode'],
  ...['local_path', 'config', 'enable_embeddings', 'mlock', 'no_mmap', 'lora_adapters_json'],
  ...['engine_startup_args_json', 'engine_startup_env_json'],
]);

const text = (value: unknown): string | null =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
const isGiven = (value: unknown): boolean => value !== null && value !== undefined && value !== '';

/** Reads a recipe of the Python Cortex. Every field that is set is named in the notes: what it became, or why it did not. */
export function readPredecessorRecipe(recipe: Fields): ReadRecipe {
  // Its later version keeps the options in an object of their own.
  const config = typeof recipe.config === 'object' && recipe.config !== null ? recipe.config : {};
  const all: Fields = { ...recipe, ...config };
  const notes: ImportNote[] = [];
  const take = (field: string, to: string, message: string | null = null) =>
    notes.push({ field, outcome: 'taken', to, message });
  const drop = (field: string, outcome: 'left_out' | 'refused', message: string) =>
    notes.push({ field, outcome, to: null, message });

  const isRecipe = text(all.recipe_name) !== null || text(all.model_name) !== null;
  const wishedName = text(all.recipe_name) ?? text(all.name) ?? text(all.served_model_name) ?? 'Imported';
  const name =
    wishedName
      .replace(/[^A-Za-z0-9 ._-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 128) || 'Imported';
  take(text(all.recipe_name) === null ? 'name' : 'recipe_name', 'name', name === wishedName ? null : `As '${name}'.`);
  const found = engineName.safeParse(all.engine_type);
  const outcome = { name: recipeName.parse(name), note: text(all.description) ?? '', notes };
  if (!found.success) {
    drop('engine_type', 'refused', `There is no engine '${String(all.engine_type)}' here.`);
    return { ...outcome, content: null };
  }
  const engine = found.data;
  take('engine_type', 'engine');
  if (outcome.note !== '') take('description', 'note');
  const modelName = text(all.model_name) ?? (isRecipe && all.recipe_name !== undefined ? text(all.name) : null);
  if (modelName !== null) take(text(all.model_name) === null ? 'name' : 'model_name', 'model_name');
  const servedName = text(all.served_model_name);
  if (servedName !== null) take('served_model_name', 'served_name');
  const isEmbedding = /^embed/.test(text(all.task) ?? '') || all.enable_embeddings === true;
  if (isGiven(all.task)) take('task', 'task');
  if (isGiven(all.enable_embeddings)) take('enable_embeddings', 'task');
  if (isGiven(all.mode))
    if (all.mode === 'online') drop('mode', 'left_out', 'Models are served from a folder: download it there first.');
    else take('mode', 'folder');
  const place = readPlace(engine, text(all.local_path), take, drop);

  const startup: Startup = { options: {}, extra_args: [], extra_env: {}, notes };
  if (isGiven(all.engine_startup_args_json)) readArguments(engine, all.engine_startup_args_json, startup);
  if (isGiven(all.engine_startup_env_json)) readVariables(engine, all.engine_startup_env_json, startup);
  readMemoryLock(engine, all, startup, notes);
  readAdapters(engine, all.lora_adapters_json, place.folder, startup, notes);
  for (const [field, value] of Object.entries(all)) {
    if (handled.has(field) || !isGiven(value)) continue;
    const meaning = meaningOf(engine, field);
    if (meaning === null) drop(field, 'left_out', 'Nobody here knows this field.');
    else readField(field, value, meaning, place.folder, startup);
  }
  const { options, extra_args, extra_env } = startup;
  const schema = engine === 'vllm' ? vllmOptions : llamacppOptions;
  const valid = dropInvalid(schema.shape, options, notes);
  const content = recipeContent.safeParse({
    engine,
    task: isEmbedding ? 'embed' : 'generate',
    model_name: modelName,
    served_name: servedName,
    ...place,
    options: { ...valid, extra_args, extra_env },
  });
  for (const issue of content.error?.issues ?? []) drop(issue.path.join('.'), 'refused', issue.message);
  return { ...outcome, content: content.data ?? null };
}

type Take = (field: string, to: string, message?: string | null) => unknown;
type Drop = (field: string, outcome: 'left_out' | 'refused', message: string) => unknown;

function readPlace(engine: Engine, path: string | null, take: Take, drop: Drop) {
  const nowhere = { folder: null, file: null };
  if (path === null) return nowhere;
  if (path.startsWith('/') || path.split('/').includes('..')) {
    drop('local_path', 'left_out', `${path} is not below the models folder: choose the folder when a model is made.`);
    return nowhere;
  }
  const file = path.endsWith('.gguf') ? (path.split('/').at(-1) ?? null) : null;
  const folder = file === null ? path.replace(/\/+$/, '') : path.slice(0, -file.length - 1);
  if (folder === '') {
    drop(
      'local_path',
      'left_out',
      `${path} is in no folder of its own: give it one, and choose it when a model is made.`,
    );
    return nowhere;
  }
  if (engine === 'vllm' && file !== null) {
    drop('local_path', 'left_out', 'vLLM serves no .gguf file here: choose a folder with .safetensors files.');
    return nowhere;
  }
  take('local_path', file === null ? 'folder' : 'folder, file');
  return { folder, file };
}

/** Its two switches are one option now. */
function readMemoryLock(engine: Engine, { mlock, no_mmap }: Fields, { options }: Startup, notes: ImportNote[]): void {
  const given = [isGiven(mlock) ? 'mlock' : null, isGiven(no_mmap) ? 'no_mmap' : null].filter((one) => one !== null);
  for (const field of given) {
    if (engine === 'vllm') notes.push({ field, outcome: 'left_out', to: null, message: 'It is of the other engine.' });
    else {
      const message = '--mlock and --no-mmap are --load-mode now.';
      notes.push({ field, outcome: 'taken', to: 'options.load_mode', message });
    }
  }
  if (engine === 'vllm' || (mlock !== true && no_mmap !== true)) return;
  options.load_mode = no_mmap === true ? (mlock === true ? 'mlock' : 'none') : 'mmap+mlock';
}

function readAdapters(
  engine: Engine,
  adapters: unknown,
  folder: string | null,
  startup: Startup,
  notes: ImportNote[],
): void {
  const field = 'lora_adapters_json';
  if (!isGiven(adapters)) return;
  let list: unknown = adapters;
  if (typeof adapters === 'string')
    try {
      list = JSON.parse(adapters);
    } catch {
      list = null;
    }
  const [first, ...more] = Array.isArray(list) ? list : [];
  if (engine === 'llamacpp' && typeof first === 'string' && more.length === 0)
    readField(field, first, { file: 'lora' }, folder, startup);
  else
    notes.push({ field, outcome: 'refused', to: null, message: 'Only one adapter without a scale has a place here.' });
}

function readField(field: string, value: unknown, meaning: Meaning, folder: string | null, startup: Startup): void {
  const { options, extra_args, extra_env, notes } = startup;
  const take = (to: string) => notes.push({ field, outcome: 'taken', to, message: null });
  const drop = (outcome: 'left_out' | 'refused', message: string) => notes.push({ field, outcome, to: null, message });
  if ('leftOut' in meaning) drop('left_out', meaning.leftOut);
  else if ('refused' in meaning) drop('refused', meaning.refused);
  else if ('variable' in meaning) {
    if (value === false) return void drop('left_out', 'It is off.');
    extra_env[meaning.variable] = meaning.value ?? String(value);
    take(`options.extra_env.${meaning.variable}`);
  } else if ('argument' in meaning) {
    extra_args.push(meaning.argument, String(value));
    take('options.extra_args');
  } else if ('file' in meaning) {
    const path = String(value);
    const isInside = folder !== null && path.startsWith(`${folder}/`);
    if (!isInside)
      return void drop('left_out', `${path} is not in the folder of the model: copy it there and name it.`);
    options[meaning.file] = path.slice(folder.length + 1);
    take(`options.${meaning.file}`);
  } else {
    const read = meaning.read === undefined ? value : meaning.read(value);
    if (read === undefined) return void drop('left_out', meaning.unless ?? 'It is off.');
    options[meaning.option] = read;
    take(`options.${meaning.option}`);
  }
}

/** The options whose values are possible here; what is not is noted instead of taken. */
function dropInvalid(
  shape: Readonly<
    Record<string, { safeParse(value: unknown): { error?: { issues: readonly { message: string }[] } } }>
  >,
  options: Fields,
  notes: ImportNote[],
): Fields {
  const valid: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    const error = shape[name]?.safeParse(value).error;
    if (error === undefined) {
      valid[name] = value;
      continue;
    }
    const at = notes.find(({ to }) => to === `options.${name}`);
    const message = `${JSON.stringify(value)}: ${error.issues[0]?.message ?? 'not a value that it has'}`;
    if (at !== undefined) notes.splice(notes.indexOf(at), 1, { ...at, outcome: 'refused', to: null, message });
  }
  return valid;
}
