import type { ImageReadiness, ImageStatus } from '../contract/system.ts';
import type { DockerEngine, ImageDetails } from '../docker/engine.ts';
import type { Bill, BillImage } from './bill.ts';
import type { Catalog, CatalogEntry } from './catalog.ts';
import { isBilled } from './image-proof.ts';

export interface ReadinessQuestion {
  readonly engine: Pick<DockerEngine, 'images' | 'info'>;
  readonly catalog: Catalog;
  /** The bill of the package that was loaded; null where there was none. */
  readonly bill: Bill | null;
  readonly offlineMode: boolean;
}

/**
 * The one answer to "are all images there": for the command line, the API, the UI and the start. Ready only where every
 * critical and required image is present and is the one that the bill records.
 * @throws CortexError docker_unavailable
 */
export async function imageReadiness({
  engine,
  catalog,
  bill,
  offlineMode,
}: ReadinessQuestion): Promise<ImageReadiness> {
  const { imageStore } = await engine.info();
  const statuses = await Promise.all(
    catalog.map(async (entry) => statusOf(entry, await engine.images.inspect(entry.reference), bill)),
  );
  const byKey = (key: string) => {
    const found = statuses[catalog.findIndex((entry) => entry.key === key)];
    if (found === undefined) throw new Error(`the image list has no ${key}`);
    return found;
  };
  const needed = statuses.filter((status) => status.role !== 'optional');
  // Without a bill only the names can be compared; with one, an image that it does not know is not proven.
  const isUsable = ({ identity }: ImageStatus) => identity === 'matches' || (bill === null && identity === 'unknown');
  return {
    offline_mode: offlineMode,
    offline_ready: needed.every(isUsable),
    engines: { vllm: byKey('vllm'), llamacpp: byKey('llamacpp') },
    infrastructure: statuses.filter((_, index) => !['vllm', 'llamacpp'].includes(catalog[index]?.key ?? '')),
    summary: {
      critical_images_cached: statuses.filter((status) => status.role === 'critical').every(isUsable),
      total_images_checked: statuses.length,
      cached_count: statuses.filter((status) => status.cached).length,
    },
    recommendations: recommend(
      needed.filter((status) => !isUsable(status)),
      bill,
    ),
    image_store: imageStore,
    bill: bill === null ? null : { created_at: bill.created_at, cortex_version: bill.cortex_version },
  };
}

function statusOf(entry: CatalogEntry, details: ImageDetails | null, bill: Bill | null): ImageStatus {
  const recorded = bill?.images.find((image) => image.reference === entry.reference);
  const identity =
    details === null
      ? 'absent'
      : recorded === undefined
        ? 'unknown'
        : isBilled(details, recorded)
          ? 'matches'
          : 'differs';
  return {
    image: entry.reference,
    name: entry.reference,
    cached: details !== null,
    size_mb: details === null ? null : Math.round(details.sizeBytes / 104_857.6) / 10,
    created: details?.created ?? null,
    purpose: entry.purpose,
    role: entry.role,
    identity,
    id: details?.id ?? null,
    file: recorded?.file ?? entry.file,
    warning: warningOf(entry, identity, bill, recorded),
  };
}

function warningOf(
  entry: CatalogEntry,
  identity: ImageStatus['identity'],
  bill: Bill | null,
  recorded: BillImage | undefined,
): string | null {
  if (identity === 'differs')
    return 'Docker has another image under this name than the package. Load it again: make load-offline';
  const other = recorded === undefined ? bill?.images.find((image) => image.key === entry.key) : undefined;
  if (other !== undefined)
    return `The package holds ${other.reference}. Set the matching version in backend/.env or bring a package with ${entry.reference}.`;
  if (identity === 'absent') return `It is not there. ${entry.file} of the package holds it.`;
  return null;
}

function recommend(missing: readonly ImageStatus[], bill: Bill | null): string[] {
  if (missing.length === 0) {
    const all = '✓ All critical images cached. System is ready for offline operation.';
    return bill === null ? [all, 'There is no bill of a package to compare with: identities were not checked.'] : [all];
  }
  return [
    `Load what is missing: make load-offline (${missing.map((status) => status.file).join(', ')})`,
    'Then check again: make verify-offline',
  ];
}
