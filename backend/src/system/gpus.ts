import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { request } from 'undici';
import { type Gpu, type GpuInventory, gpuId } from '../../../contract/memory.ts';

export interface GpuSources {
  /** The metrics page of DCGM's exporter; empty where there is none. */
  readonly dcgmUrl: string;
  /** The Docker Engine's runtimes. */
  readonly runtimes: () => Promise<readonly string[]>;
  readonly command?: string;
}

const MiB = 1024 ** 2;
const answerMs = 3_000;
const longestPage = 4 * MiB;
/** A page that asks for plan, list and reservations at once is answered from one reading. */
const freshMs = 2_000;
const run = promisify(execFile);

/** The GPUs of this machine, through whatever tells of them. None is a normal case. */
export class GpuReadings {
  readonly #sources: GpuSources;
  #reading: Promise<GpuInventory> | null = null;
  #readAtMs = 0;

  constructor(sources: GpuSources) {
    this.#sources = sources;
  }

  /** Never throws. */
  read(): Promise<GpuInventory> {
    if (this.#reading === null || Date.now() - this.#readAtMs > freshMs) {
      this.#readAtMs = Date.now();
      this.#reading = this.#read();
    }
    return this.#reading;
  }

  async #read(): Promise<GpuInventory> {
    const { dcgmUrl, command = 'nvidia-smi', runtimes } = this.#sources;
    const [exported, usable] = await Promise.all([
      dcgmUrl === '' ? [] : dcgmGpus(dcgmUrl),
      runtimes().then(
        (names) => names.includes('nvidia'),
        () => null,
      ),
    ]);
    if (exported.length > 0) return { source: 'dcgm', usable, gpus: exported };
    const listed = await smiGpus(command);
    if (listed.length > 0) return { source: 'nvidia-smi', usable, gpus: listed };
    return { source: usable === true ? 'docker' : 'none', usable, gpus: [] };
  }
}

async function dcgmGpus(url: string): Promise<Gpu[]> {
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(answerMs) });
    if (statusCode !== 200) {
      await body.dump();
      return [];
    }
    let text = '';
    for await (const piece of body) {
      text += String(piece);
      if (text.length > longestPage) return [];
    }
    return parseDcgm(text);
  } catch {
    return [];
  }
}

const metric = /^(DCGM_FI_DEV_(?:FB_FREE|FB_USED|FB_RESERVED|GPU_UTIL))\{(.*)\} (\S+)/;
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/**
 * Reads the exporter's page. Its memory is in MiB, though its help says MB. Slices of a GPU (MIG) are passed over: vLLM and
 * llama.cpp are given whole GPUs.
 */
export function parseDcgm(text: string): Gpu[] {
  const found = new Map<string, { labels: Map<string, string>; values: Map<string, number> }>();
  for (const line of text.split('\n')) {
    const [, name, inside = '', value] = metric.exec(line) ?? [];
    if (name === undefined || !Number.isFinite(Number(value))) continue;
    const labels = new Map([...inside.matchAll(label)].map(([, key = '', word = '']) => [key, word]));
    const uuid = labels.get('UUID');
    if (uuid === undefined || !gpuId.safeParse(uuid).success || (labels.get('GPU_I_ID') ?? '') !== '') continue;
    const entry = found.get(uuid) ?? { labels, values: new Map() };
    entry.values.set(name, Number(value));
    found.set(uuid, entry);
  }
  return [...found]
    .flatMap(([uuid, { labels, values }]): Gpu[] => {
      const of = (name: string) => values.get(`DCGM_FI_DEV_${name}`);
      const [free, used] = [of('FB_FREE'), of('FB_USED')];
      if (free === undefined || used === undefined) return [];
      return [
        {
          index: Number(labels.get('gpu') ?? 0),
          uuid,
          name: labels.get('modelName') ?? 'NVIDIA GPU',
          total_bytes: (free + used + (of('FB_RESERVED') ?? 0)) * MiB,
          used_bytes: used * MiB,
          free_bytes: free * MiB,
          driver_version: labels.get('DCGM_FI_DRIVER_VERSION') ?? null,
          utilization_percent: of('GPU_UTIL') ?? null,
        },
      ];
    })
    .sort((a, b) => a.index - b.index);
}

const smiFields = 'index,uuid,name,memory.total,memory.used,memory.free,driver_version,utilization.gpu';

async function smiGpus(command: string): Promise<Gpu[]> {
  try {
    const { stdout } = await run(command, [`--query-gpu=${smiFields}`, '--format=csv,noheader,nounits'], {
      timeout: answerMs,
    });
    return parseSmi(stdout);
  } catch {
    return [];
  }
}

/** Reads nvidia-smi's lines (memory in MiB; `[N/A]` where a card does not tell); leaves out what is not one. */
export function parseSmi(text: string): Gpu[] {
  return text.split('\n').flatMap((line): Gpu[] => {
    const [index, uuid, name, total, used, free, driver, use] = line.split(',').map((field) => field.trim());
    const numbers = [index, total, used, free].map((field) => (/^\d+$/.test(field ?? '') ? Number(field) : null));
    const [at, totalMib, usedMib, freeMib] = numbers;
    if (
      !gpuId.safeParse(uuid).success ||
      !uuid ||
      !name ||
      at == null ||
      totalMib == null ||
      usedMib == null ||
      freeMib == null
    )
      return [];
    return [
      {
        index: at,
        uuid,
        name,
        total_bytes: totalMib * MiB,
        used_bytes: usedMib * MiB,
        free_bytes: freeMib * MiB,
        driver_version: driver !== undefined && /^[\d.]+$/.test(driver) ? driver : null,
        utilization_percent: use !== undefined && /^\d+$/.test(use) ? Number(use) : null,
      },
    ];
  });
}
