import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
const lockFile = z.object({
  version: z.string(),
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      integrity: z.string().optional(),
      license: z.string().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
    }),
  ),
});

export const sbomName = 'reports/cortex-sbom.cdx.json';

/** What Cortex's own image is made of, as CycloneDX 1.5: every npm package with version, licence and sum. */
export async function renderSbom(rootDir: string): Promise<Buffer> {
  const { version, packages } = lockFile.parse(JSON.parse(await readFile(join(rootDir, 'package-lock.json'), 'utf8')));
  const components = Object.entries(packages)
    .filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional)
    .map(([path, entry]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      const [algorithm = '', sum = ''] = (entry.integrity ?? '').split('-');
      return {
        type: 'library',
        name,
        version: entry.version ?? '',
        purl: `pkg:npm/${name.replace('@', '%40')}@${entry.version ?? ''}`,
        ...(entry.license === undefined ? {} : { licenses: [{ expression: entry.license }] }),
        ...(algorithm === 'sha512'
          ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(sum, 'base64').toString('hex') }] }
          : {}),
      };
    });
  const serial = createHash('sha256').update(JSON.stringify(components)).digest('hex');
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${serial.slice(0, 8)}-${serial.slice(8, 12)}-5${serial.slice(13, 16)}-8${serial.slice(17, 20)}-${serial.slice(20, 32)}`,
    version: 1,
    metadata: { component: { type: 'application', name: 'cortex', version } },
    components,
  };
  return Buffer.from(`${JSON.stringify(document, null, 1)}\n`);
}

export interface Scan {
  readonly name: string;
  readonly bytes: Buffer;
  /** How old the scanner's knowledge is. */
  readonly databaseDate: string | null;
}

/** A vulnerability report of one archive by the scanner that is on the PATH; null where there is none. */
export async function scanArchive(archive: string, name: string): Promise<Scan | null> {
  for (const scanner of [trivy, grype]) {
    const found = await scanner(archive, name).catch((error: unknown) => {
      if (Object(error).code === 'ENOENT') return null;
      throw error;
    });
    if (found !== null) return found;
  }
  return null;
}

const options = { maxBuffer: 256 * 1024 * 1024, encoding: 'buffer' as const };
const trivyVersion = z.object({ VulnerabilityDB: z.object({ UpdatedAt: z.string() }).optional() });
const grypeReport = z.object({
  descriptor: z.object({ db: z.looseObject({ built: z.string().optional() }).optional() }).optional(),
});

async function trivy(archive: string, name: string): Promise<Scan> {
  const { stdout: told } = await run('trivy', ['version', '--format', 'json'], options);
  const { stdout } = await run('trivy', ['image', '--quiet', '--format', 'json', '--input', archive], options);
  const databaseDate =
    trivyVersion.safeParse(JSON.parse(told.toString('utf8'))).data?.VulnerabilityDB?.UpdatedAt ?? null;
  return { name: `reports/${name}.trivy.json`, bytes: stdout, databaseDate };
}

async function grype(archive: string, name: string): Promise<Scan> {
  const { stdout } = await run('grype', [`docker-archive:${archive}`, '--output', 'json', '--quiet'], options);
  const databaseDate = grypeReport.safeParse(JSON.parse(stdout.toString('utf8'))).data?.descriptor?.db?.built ?? null;
  return { name: `reports/${name}.grype.json`, bytes: stdout, databaseDate };
}
