import type { Bill, BillImage, BillModel } from './bill.ts';

export interface ReadmeContent {
  readonly version: string;
  readonly images: readonly Pick<BillImage, 'key' | 'file' | 'reference' | 'role' | 'purpose'>[];
  readonly models: readonly Pick<BillModel, 'name' | 'source' | 'revision'>[];
  readonly volumes: number;
  readonly base: Bill['base'];
  readonly isSigned: boolean;
  readonly dedupe: boolean;
}

/** README.txt of a package: for a person who has this folder and nothing else. */
export function renderReadme({ version, images, models, volumes, base, isSigned, dedupe }: ReadmeContent): string {
  const cortex = images.find((image) => image.key === 'cortex')?.file ?? images[0]?.file ?? '';
  const width = Math.max(16, ...images.map((image) => image.file.length));
  const title = `Cortex ${version}: offline package`;
  const kinds = [
    volumes > 1
      ? `It is cut into ${volumes} volumes. They are read where they are, in any order; nothing is joined:
  cortex offline load --image-dir /media/one --image-dir /media/two …`
      : '',
    base === null
      ? ''
      : `It holds only what is new since the ${base.kind} of ${base.created_at} (${base.id.slice(0, 12)}).
A machine that does not have that one refuses it and says what lacks.`,
    dedupe
      ? 'Layers that several images share are in it once: load with make load-offline; plain docker load works in the order above.'
      : '',
  ].filter((part) => part !== '');
  return `${title}
${'='.repeat(title.length)}

This folder holds what Cortex needs on a machine without internet.
${kinds.length === 0 ? '' : `\n${kinds.join('\n\n')}\n`}
What is in it
${images.map((image) => `  ${image.file.padEnd(width)}  ${image.reference}  (${image.role}: ${image.purpose})`).join('\n')}
${models.map((model) => `  ${`models/${model.name}`.padEnd(width)}  ${model.source}${model.revision === null ? '' : ` @ ${model.revision}`}\n`).join('')}  ${'manifest.json'.padEnd(width)}  the bill: what each file must be (sizes, SHA-256, image identities)
${isSigned ? `  ${'manifest.json.sig'.padEnd(width)}  its Ed25519 signature\n` : ''}  ${'checksums.txt'.padEnd(width)}  the same sums for sha256sum

1. Is everything here, and whole?     (in this folder)
     sha256sum -c checksums.txt
${
  isSigned
    ? `
   Is it from whom it should be? With the public key that came to you by ANOTHER way than this disk:
     openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in manifest.json -sigfile manifest.json.sig
   and that checksums.txt speaks of this manifest.json: sha256sum -c does that too.
`
    : '\n   This package is NOT signed: it is loaded only with --allow-unsigned.\n'
}
2. With the Cortex repository beside it (this folder inside the repository):
     make load-offline
     make verify-offline
     echo "OFFLINE_MODE=True" >> backend/.env
     make quick-start

3. Without the repository, an image loads with Docker alone:
     docker load -i ${cortex}

If a file is damaged, copy that file from the medium again; the others need not be copied. If the medium itself is bad:
     cortex offline verify --files --repair-request repair-request.json
   and carry that small file out; "cortex offline repair" on the connected machine answers it with just those pieces.
`;
}
