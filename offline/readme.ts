import type { BillImage } from './bill.ts';

/** README.txt of a package: for a person who has this folder and nothing else. */
export function renderReadme(images: readonly BillImage[], version: string): string {
  const cortex = images.find((image) => image.key === 'cortex')?.file ?? `cortex-${version}.tar`;
  const width = Math.max(...images.map((image) => image.file.length));
  return `Cortex ${version}: offline package
${'='.repeat(`Cortex ${version}: offline package`.length)}

This folder holds the container images that Cortex needs on a machine without internet.

What is in it
${images.map((image) => `  ${image.file.padEnd(width)}  ${image.reference}  (${image.role}: ${image.purpose})`).join('\n')}
  manifest.json    what each file must be: size, SHA-256, image identities
  checksums.txt    the same sums for sha256sum

1. Is everything here, and whole?     (in this folder)
     sha256sum -c checksums.txt

2. With the Cortex repository beside it (this folder inside the repository):
     make load-offline
     make verify-offline
     echo "OFFLINE_MODE=True" >> backend/.env
     make quick-start

3. Without the repository, any image loads with Docker alone:
     docker load -i ${cortex}

If a file is damaged, copy that file from the medium again; the others need not be copied.
`;
}
