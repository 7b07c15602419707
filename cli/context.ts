import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnvFile } from '../contract/env-file.ts';

// The server knows every setting; these are the ones that a run-together line would lose for the command line.
const knownNames = [
  'OFFLINE_MODE',
  'REQUIRE_IMAGE_PRECACHE',
  'VLLM_IMAGE',
  'LLAMACPP_IMAGE',
  'CORTEX_MODELS_DIR',
  'CORTEX_REGISTRY_MIRRORS',
  'GATEWAY_PORT',
  'CORTEX_INSECURE_REGISTRIES',
  'CORTEX_REGISTRY_CA',
  'CORTEX_SIGNING_KEY',
  'HF_ENDPOINT',
  'HF_TOKEN',
];

/** The repository (or, inside the image, the folder that stands for it): where versions.env is. */
export function findRoot(): string {
  const named = process.env.CORTEX_ROOT;
  if (named) return resolve(named);
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'versions.env')) && dirname(dir) !== dir) dir = dirname(dir);
  return dir;
}

export interface CliContext {
  readonly rootDir: string;
  /** The environment over backend/.env, as the server reads them. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The package: its folder, or the folders of its volumes. */
  readonly packageDirs: readonly string[];
  readonly receiptDir: string;
  readonly dataDir: string;
  readonly modelsDir: string;
  readonly offlineMode: boolean;
}

/** What the machine says to every command. @throws CortexError env_line_invalid */
export function readContext(): CliContext {
  const rootDir = findRoot();
  const path = join(rootDir, 'backend/.env');
  const file = existsSync(path)
    ? parseEnvFile(readFileSync(path, 'utf8'), 'backend/.env', knownNames)
    : new Map<string, string>();
  const env: Record<string, string | undefined> = Object.fromEntries(file);
  for (const [name, value] of Object.entries(process.env)) if (value) env[name] = value;
  return {
    rootDir,
    env,
    packageDirs: (env.IMAGE_DIR || 'cortex-offline-images').split(':').map((dir) => resolve(rootDir, dir)),
    receiptDir: resolve(rootDir, env.CORTEX_PACKAGE_DIR || '.cortex/package'),
    dataDir: resolve(rootDir, env.CORTEX_DATA_DIR || '.cortex/data'),
    modelsDir: resolve(rootDir, env.CORTEX_MODELS_DIR_HOST || env.CORTEX_MODELS_DIR || '/var/cortex/models'),
    offlineMode: /^(true|1|yes|on)$/i.test(env.OFFLINE_MODE ?? ''),
  };
}
