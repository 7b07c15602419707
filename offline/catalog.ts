import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnvFile } from '../contract/env-file.ts';
import { CortexError } from '../contract/errors.ts';
import type { ImageRole } from '../contract/system.ts';
import { familiarName, parseImageReference } from './image-reference.ts';

export interface CatalogEntry {
  readonly key: string;
  readonly reference: string;
  /** The archive's name in the package. */
  readonly file: string;
  readonly role: ImageRole;
  readonly purpose: string;
}
export type Catalog = readonly CatalogEntry[];

interface Line extends Omit<CatalogEntry, 'reference' | 'file'> {
  readonly name: string;
  readonly version: string;
  /** The archive's name; `*` stands for the version. */
  readonly archive: string;
  /** A whole reference of backend/.env that goes before name and version. */
  readonly override?: string;
}

/** Every image that Cortex runs or carries. Versions stand in versions.env. */
const lines: readonly Line[] = [
  {
    key: 'vllm',
    name: 'vllm/vllm-openai',
    version: 'VLLM_VERSION',
    archive: 'vllm-openai-*.tar',
    override: 'VLLM_IMAGE',
    role: 'critical',
    purpose: 'vLLM inference engine',
  },
  {
    key: 'llamacpp',
    name: 'ghcr.io/ggml-org/llama.cpp',
    version: 'LLAMACPP_TAG',
    archive: 'llamacpp-*.tar',
    override: 'LLAMACPP_IMAGE',
    role: 'critical',
    purpose: 'llama.cpp inference engine',
  },
  {
    key: 'cortex',
    name: 'cortex',
    version: 'CORTEX_VERSION',
    archive: 'cortex-*.tar',
    role: 'required',
    purpose: 'Cortex: server, UI and command line',
  },
  {
    key: 'postgres',
    name: 'postgres',
    version: 'POSTGRES_VERSION',
    archive: 'postgres-*.tar',
    role: 'required',
    purpose: 'Database',
  },
  {
    key: 'redis',
    name: 'redis',
    version: 'REDIS_VERSION',
    archive: 'redis-*.tar',
    role: 'required',
    purpose: 'Shared limits of several gateways',
  },
  {
    key: 'prometheus',
    name: 'prom/prometheus',
    version: 'PROMETHEUS_VERSION',
    archive: 'prometheus-*.tar',
    role: 'required',
    purpose: 'Metrics',
  },
  {
    key: 'node-exporter',
    name: 'prom/node-exporter',
    version: 'NODE_EXPORTER_VERSION',
    archive: 'node-exporter-*.tar',
    role: 'optional',
    purpose: 'Host metrics',
  },
  {
    key: 'dcgm-exporter',
    name: 'nvidia/dcgm-exporter',
    version: 'DCGM_EXPORTER_VERSION',
    archive: 'dcgm-exporter.tar',
    role: 'optional',
    purpose: 'GPU metrics',
  },
  {
    key: 'cadvisor',
    name: 'gcr.io/cadvisor/cadvisor',
    version: 'CADVISOR_VERSION',
    archive: 'cadvisor-*.tar',
    role: 'optional',
    purpose: 'Container metrics',
  },
  {
    key: 'registry',
    name: 'registry',
    version: 'REGISTRY_VERSION',
    archive: 'registry-*.tar',
    role: 'optional',
    purpose: 'Local registry for several machines',
  },
];
const nodeBase: Line = {
  key: 'node-base',
  name: 'node',
  version: 'NODE_VERSION',
  archive: 'node-*.tar',
  role: 'optional',
  purpose: "Base of Cortex's own image, for sites that rebuild it",
};

export interface CatalogSources {
  /** The folder that holds versions.env. */
  readonly rootDir: string;
  /** Goes before versions.env: `VLLM_VERSION=v0.7.0 make prepare-offline`. Also holds VLLM_IMAGE and LLAMACPP_IMAGE. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads the list with its versions. @throws CortexError setting_invalid */
export function readCatalog(sources: CatalogSources, options: { withBuildBases?: boolean } = {}): Catalog {
  const read = versionReader(sources);
  return [...lines, ...(options.withBuildBases ? [nodeBase] : [])].map((line) => entryOf(line, read, sources.env));
}

/** The Node image that Cortex's own image stands on. */
export const readNodeBase = (sources: CatalogSources): CatalogEntry =>
  entryOf(nodeBase, versionReader(sources), sources.env);

function versionReader({ rootDir, env }: CatalogSources): (name: string) => string {
  const file = parseEnvFile(readFileSync(join(rootDir, 'versions.env'), 'utf8'), 'versions.env');
  return (name) => {
    // What runs as cortex:0.1.0 is this very version, whatever the environment says.
    const fromEnvironment = name === 'CORTEX_VERSION' ? undefined : env[name];
    const value = fromEnvironment || file.get(name);
    if (value !== undefined && /^\w[\w.-]{0,127}$/.test(value)) return value;
    throw new CortexError('setting_invalid', {
      variable: name,
      value: value ?? '(not set)',
      allowed: 'an image tag',
      source: fromEnvironment ? 'the environment' : 'versions.env',
    });
  };
}

function entryOf(line: Line, read: (name: string) => string, env: CatalogSources['env']): CatalogEntry {
  const { key, role, purpose } = line;
  const override = line.override === undefined ? undefined : env[line.override];
  if (!override) {
    const version = read(line.version);
    return { key, role, purpose, reference: `${line.name}:${version}`, file: line.archive.replace('*', version) };
  }
  const parsed = parseImageReference(override);
  if (parsed.digest !== null) {
    const allowed = 'a name with a tag; digests are kept in manifest.json';
    throw new CortexError('setting_invalid', {
      variable: line.override ?? '',
      value: override,
      allowed,
      source: 'backend/.env or the environment',
    });
  }
  return { key, role, purpose, reference: familiarName(parsed), file: line.archive.replace('*', parsed.tag) };
}

/** The image that an engine runs from. */
export function imageOf(catalog: Catalog, key: 'vllm' | 'llamacpp'): string {
  const entry = catalog.find((candidate) => candidate.key === key);
  if (entry === undefined) throw new CortexError('not_found', { what: 'image', id: key });
  return entry.reference;
}

/** The archive of the package that holds an image. */
export const fileOfImage = (catalog: Catalog, reference: string): string =>
  catalog.find((entry) => entry.reference === reference)?.file ?? '<failed-image>.tar';

/** References that someone named: as the list has them, or as images of their own. @throws CortexError invalid_request */
export function catalogOf(references: readonly string[], list: Catalog): Catalog {
  return references.map((text) => {
    const reference = familiarName(parseImageReference(text));
    const listed = list.find((entry) => entry.reference === reference || entry.key === text);
    if (listed !== undefined) return listed;
    const name = reference.replace(/[/:]/g, '-');
    return { key: name, reference, file: `${name}.tar`, role: 'required', purpose: 'Named on the command line' };
  });
}
