import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { text as readStream } from 'node:stream/consumers';
import { type ConfigDocument, configDocument, secretReference } from '../../contract/config-file/documents.ts';
import { readDocuments } from '../../contract/config-file/text.ts';
import { CortexError } from '../../contract/errors.ts';

/** One document, and where it stands: `models.yaml:12`. */
export interface Described {
  readonly at: string;
  readonly document: ConfigDocument;
}

export interface ReadFiles {
  readonly described: readonly Described[];
  /** Everything that is wrong with the files, in words. */
  readonly faults: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The documents of files, `-` being what comes on standard input, with the secrets that they refer to. */
export async function readFiles(files: readonly string[], env: Environment): Promise<ReadFiles> {
  const described: Described[] = [];
  const faults: string[] = [];
  for (const file of files) {
    const text = await (file === '-' ? readStream(process.stdin) : readFile(file, 'utf8')).catch((cause: unknown) => {
      throw new CortexError('file_unusable', { file, reason: String(Object(cause).code ?? cause) }, { cause });
    });
    const read = readDocuments(text);
    for (const { line, message } of read.faults) faults.push(`${file}:${line}: ${message}`);
    for (const { line, value } of read.documents) {
      const at = `${file}:${line}`;
      const parsed = configDocument.safeParse(value);
      for (const { path, message } of parsed.error?.issues ?? []) faults.push(`${at}: ${path.join('.')}: ${message}`);
      if (!parsed.success) continue;
      const base = file === '-' ? '.' : dirname(file);
      const fault = (path: string, message: string) => faults.push(`${at}: ${path}: ${message}`);
      described.push({ at, document: await withSecrets(parsed.data, base, env, fault) });
    }
  }
  return { described, faults };
}

async function withSecrets(
  document: ConfigDocument,
  base: string,
  env: Environment,
  fault: (path: string, message: string) => void,
): Promise<ConfigDocument> {
  const read = async (value: unknown, path: string): Promise<unknown> => {
    const reference = secretReference.safeParse(value);
    if (!reference.success) return value;
    if ('from_env' in reference.data) {
      const found = env[reference.data.from_env];
      if (found === undefined || found === '') fault(path, `the variable ${reference.data.from_env} is not set`);
      return found ?? '';
    }
    const file = resolve(base, reference.data.from_file);
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      fault(path, `${file} can't be read: ${String(Object(error).code ?? error)}`);
      return '';
    });
    return text.replace(/\r?\n$/, '');
  };
  const { extra_args: args, extra_env: variables, ...options } = (document.options ?? {}) as Record<string, unknown>;
  const given: Record<string, unknown> = { ...options };
  if (Array.isArray(args))
    given.extra_args = await Promise.all(
      args.map((value: unknown, index) => read(value, `options.extra_args.${index}`)),
    );
  if (variables !== undefined) {
    const entries = Object.entries(Object(variables) as Record<string, unknown>);
    const values = entries.map(
      async ([name, value]) => [name, await read(value, `options.extra_env.${name}`)] as const,
    );
    given.extra_env = Object.fromEntries(await Promise.all(values));
  }
  return { ...document, options: given };
}
