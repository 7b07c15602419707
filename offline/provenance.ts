import type { Bill } from './bill.ts';

/** The guide's image provenance record: what each image is, where it came from, when, and who vouches for it. */
export function renderProvenance(bill: Bill, fingerprint: string | null): string {
  const lines = [
    `Package: ${bill.package_id}`,
    `  Number: ${bill.sequence}`,
    `  Prepared: ${bill.created_at} by Cortex ${bill.cortex_version}`,
    `  Signed with: ${fingerprint ?? 'nobody'}`,
    '',
  ];
  for (const image of bill.images) {
    const file = bill.files.find(({ name }) => name === image.file);
    lines.push(
      `Image: ${image.reference}`,
      `  Platform: ${image.platform}`,
      `  Purpose: ${image.purpose} (${image.role})`,
      `  Index: ${image.index_digest ?? 'none: the tag names one platform'}`,
      `  Manifest: ${image.manifest_digest}`,
      `  ID: ${image.config_digest}`,
      `  Layers: ${image.diff_ids.join(' ')}`,
      `  Size: ${image.sizeBytes}`,
      `  Archive: ${image.file}  SHA-256 ${file?.sha256 ?? 'in another package'}`,
      '',
    );
  }
  for (const model of bill.models) {
    lines.push(
      `Model: ${model.name}`,
      `  Source: ${model.source}${model.revision === null ? '' : ` @ ${model.revision}`}`,
      `  Licence: ${model.licence ?? 'not told'}`,
    );
    for (const { path, sha256, sizeBytes } of model.files) lines.push(`  ${sha256}  ${path}  (${sizeBytes} bytes)`);
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}
