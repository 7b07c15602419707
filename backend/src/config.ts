import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnvFile } from '../../contract/env-file.ts';
import { CortexError } from '../../contract/errors.ts';
import { type Setting, type SettingName, type Settings, settingDefinitions, settingNames } from './config-settings.ts';

const envFileName = 'backend/.env';

/** All that the start was told, checked. */
export interface Config {
  readonly rootDir: string;
  readonly settings: Settings;
  /** Process environment over backend/.env: what offline/catalog.ts takes versions from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dataDir: string;
  readonly packageDir: string;
  readonly modelsDirHost: string;
  /** With the password of DATABASE_PASSWORD_FILE; null is the embedded database. Never logged. */
  readonly databaseUrl: string | null;
  /** With the password of REDIS_PASSWORD_FILE; null is none. Never logged. */
  readonly redisUrl: string | null;
  /** Things that are odd but do not stop the start. */
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly rootDir?: string;
}

/**
 * Reads every setting from the environment, and below it from backend/.env.
 * @throws CortexError setting_invalid, env_line_invalid
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const processEnv = sources.env ?? process.env;
  const rootDir = sources.rootDir ?? findRoot(processEnv);
  const path = join(rootDir, envFileName);
  const fromFile = existsSync(path)
    ? parseEnvFile(readFileSync(path, 'utf8'), envFileName, settingNames)
    : new Map<string, string>();

  const read = (name: SettingName): unknown => readSetting(name, processEnv, fromFile);
  // Each value comes from its own schema; only the loop over names hides that from the type checker.
  const settings = Object.fromEntries(settingNames.map((name) => [name, read(name)])) as unknown as Settings;

  const env: Record<string, string | undefined> = { ...Object.fromEntries(fromFile) };
  for (const [name, value] of Object.entries(processEnv)) if (value !== undefined && value !== '') env[name] = value;

  return {
    rootDir,
    settings,
    env,
    dataDir: settings.CORTEX_DATA_DIR ? resolve(rootDir, settings.CORTEX_DATA_DIR) : join(rootDir, '.cortex/data'),
    packageDir: settings.CORTEX_PACKAGE_DIR
      ? resolve(rootDir, settings.CORTEX_PACKAGE_DIR)
      : join(rootDir, '.cortex/package'),
    modelsDirHost: settings.CORTEX_MODELS_DIR_HOST || settings.CORTEX_MODELS_DIR,
    databaseUrl: withPassword(settings.DATABASE_URL, 'DATABASE_PASSWORD_FILE', settings),
    redisUrl: withPassword(settings.REDIS_URL, 'REDIS_PASSWORD_FILE', settings),
    warnings: unknownNames(processEnv, fromFile),
  };
}

function readSetting(
  name: SettingName,
  processEnv: Readonly<Record<string, string | undefined>>,
  fromFile: ReadonlyMap<string, string>,
): unknown {
  const definition: Setting = settingDefinitions[name];
  // An empty variable counts as not set: compose passes ${NAME:-} on as an empty text.
  const inEnvironment = processEnv[name] || undefined;
  const inFile = fromFile.get(name) || undefined;
  const value = inEnvironment ?? inFile ?? definition.default;
  const parsed = definition.schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CortexError('setting_invalid', {
    variable: name,
    value: definition.secret ? '(not shown)' : value,
    source: inEnvironment === undefined ? envFileName : 'the environment',
    allowed: definition.allowed,
  });
}

function withPassword(
  server: string,
  variable: 'DATABASE_PASSWORD_FILE' | 'REDIS_PASSWORD_FILE',
  settings: Settings,
): string | null {
  const path = settings[variable];
  if (server === '') return null;
  if (path === '') return server;
  try {
    const url = new URL(server);
    // One that is written in the address is meant for it.
    if (url.password === '') url.password = encodeURIComponent(readFileSync(path, 'utf8').trim());
    return url.href;
  } catch (cause) {
    const source = 'the environment or backend/.env';
    throw new CortexError(
      'setting_invalid',
      { variable, value: path, source, allowed: 'a file that Cortex can read' },
      { cause },
    );
  }
}

const otherNames = new Set(['CORTEX_ROOT', 'CORTEX_VERSION']);

function unknownNames(
  processEnv: Readonly<Record<string, string | undefined>>,
  fromFile: ReadonlyMap<string, string>,
): string[] {
  const known = new Set<string>(settingNames);
  const names = new Set([...Object.keys(processEnv), ...fromFile.keys()]);
  return [...names]
    .filter((name) => name.startsWith('CORTEX_') && !known.has(name) && !otherNames.has(name))
    .map((name) => `${name} is not a setting of Cortex and has no effect; docs/reference/configuration.md lists all.`);
}

function findRoot(env: Readonly<Record<string, string | undefined>>): string {
  const named = env.CORTEX_ROOT;
  if (named) return resolve(named);
  // The module lies two folders below the root in the source and three below it in dist/.
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'versions.env'))) {
    const parent = dirname(dir);
    if (parent === dir) {
      throw new CortexError('setting_invalid', {
        variable: 'CORTEX_ROOT',
        value: '(not set)',
        source: 'the environment',
        allowed: "the folder that holds Cortex's versions.env",
      });
    }
    dir = parent;
  }
  return dir;
}

/** The text of backend/.env.example: every setting with its default, commented out. */
export function renderEnvExample(): string {
  const lines = [
    '# Settings of Cortex. Copy a line to backend/.env and change it there; variables of the environment go first.',
    '# This file is printed from backend/src/config-settings.ts by scripts/generate-docs.mjs: do not edit it.',
  ];
  let group = '';
  for (const name of settingNames) {
    const definition: Setting = settingDefinitions[name];
    if (definition.group !== group) {
      group = definition.group;
      lines.push('', `# ── ${group}`);
    }
    lines.push(
      '',
      `# ${definition.description}`,
      `# Allowed: ${definition.allowed}.`,
      `#${name}=${definition.default}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
