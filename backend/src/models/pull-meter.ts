import type { PullProgress } from '../../../contract/image-pulls.ts';
import type { EngineMessage } from '../../../docker/stream.ts';

const rateWindowMs = 5_000;
const shortestRateMs = 500;

interface Layer {
  readonly doneBytes: number;
  /** Null until Docker tells it. */
  readonly totalBytes: number | null;
  readonly downloaded: boolean;
  readonly unpacked: boolean;
}
const unknownLayer: Layer = { doneBytes: 0, totalBytes: null, downloaded: false, unpacked: false };

/** Adds up what Docker tells of each layer while it pulls. */
export class PullMeter {
  readonly #layers = new Map<string, Layer>();
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  take(message: EngineMessage, nowMs: number): void {
    const { id, status = '', progressDetail = {} } = message;
    // "Pulling from …" carries the tag as its id.
    if (id === undefined || status.startsWith('Pulling from')) return;
    this.#layers.set(id, after(this.#layers.get(id) ?? unknownLayer, status, progressDetail));
    this.#samples.push({ atMs: nowMs, bytes: this.#doneBytes() });
    this.#samples = this.#samples.filter(({ atMs }) => atMs >= nowMs - rateWindowMs);
  }

  read(nowMs: number): PullProgress {
    const layers = [...this.#layers.values()];
    const doneBytes = this.#doneBytes();
    const sizes = layers.map(({ totalBytes }) => totalBytes);
    const totalBytes =
      layers.length === 0 || sizes.includes(null) ? null : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
    const downloaded = layers.length > 0 && layers.every((layer) => layer.downloaded);
    const rate = downloaded ? null : this.#rate(nowMs);
    return {
      phase: layers.length === 0 ? 'asking' : downloaded ? 'unpacking' : 'downloading',
      layers: layers.length,
      layers_done: layers.filter(({ unpacked }) => unpacked).length,
      done_bytes: doneBytes,
      total_bytes: totalBytes,
      bytes_per_second: rate,
      seconds_left: totalBytes === null || rate === null || rate === 0 ? null : (totalBytes - doneBytes) / rate,
    };
  }

  #doneBytes(): number {
    let bytes = 0;
    for (const layer of this.#layers.values()) bytes += layer.doneBytes;
    return bytes;
  }

  #rate(nowMs: number): number | null {
    const first = this.#samples.find(({ atMs }) => atMs >= nowMs - rateWindowMs);
    if (first === undefined || nowMs - first.atMs < shortestRateMs) return null;
    return ((this.#doneBytes() - first.bytes) * 1000) / (nowMs - first.atMs);
  }
}

function after(
  layer: Layer,
  status: string,
  { current, total }: { current?: number | undefined; total?: number | undefined },
): Layer {
  switch (status) {
    case 'Downloading':
      return { ...layer, doneBytes: current ?? layer.doneBytes, totalBytes: total ?? layer.totalBytes };
    case 'Verifying Checksum':
    case 'Download complete':
      return {
        ...layer,
        downloaded: true,
        doneBytes: layer.totalBytes ?? layer.doneBytes,
        totalBytes: layer.totalBytes ?? layer.doneBytes,
      };
    case 'Extracting':
      return { ...layer, downloaded: true, totalBytes: layer.totalBytes ?? layer.doneBytes };
    case 'Pull complete':
      return { ...layer, downloaded: true, unpacked: true, totalBytes: layer.totalBytes ?? layer.doneBytes };
    case 'Already exists':
      return { doneBytes: 0, totalBytes: 0, downloaded: true, unpacked: true };
    default:
      return layer;
  }
}
