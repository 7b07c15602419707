import { createHash } from 'node:crypto';

/** Opens a run of a blob's bytes: `from` inclusive, `to` exclusive. What comes is exactly that run. */
export type OpenRange = (from: number, to: number) => AsyncIterable<Buffer>;

/** A run of bytes that comes from elsewhere: a layer, a model's weights. */
export interface MemberBlob {
  readonly offset: number;
  readonly sizeBytes: number;
  /** `sha256:…` where it is known beforehand; null where only the copy tells. */
  readonly digest: string | null;
  /** Says which blobs are the same, so that one is fetched once. */
  readonly key: string;
  readonly open: OpenRange;
  /** False where the source gives only the whole: it then comes in one run. */
  readonly splittable: boolean;
}

/** A file that the package will hold. All sizes are known before the first byte is fetched, and so is every place. */
export interface Member {
  readonly name: string;
  readonly sizeBytes: number;
  /** What is known already: headers, manifests, padding. */
  readonly pieces: readonly { readonly offset: number; readonly bytes: Buffer }[];
  readonly blobs: readonly MemberBlob[];
  /** Changes with anything of the above: what an interrupted run had written counts only for the same identity. */
  readonly identity: string;
}

export function makeMember(member: Omit<Member, 'identity'>): Member {
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([
      member.name,
      member.sizeBytes,
      member.blobs.map(({ offset, sizeBytes, key }) => [offset, sizeBytes, key]),
    ]),
  );
  for (const { offset, bytes } of member.pieces) hash.update(`${offset}:${bytes.length};`).update(bytes);
  return { ...member, identity: hash.digest('hex').slice(0, 32) };
}

/** A small file whose bytes are there. */
export const memberOf = (name: string, bytes: Buffer): Member =>
  makeMember({ name, sizeBytes: bytes.length, pieces: [{ offset: 0, bytes }], blobs: [] });

/** The same bytes cut elsewhere are another file on the disk: what was written counts only for the same cut. */
export function bindToPlace(
  member: Member,
  pieces: readonly { readonly volume: number; readonly name: string; readonly sizeBytes: number }[],
): Member {
  if (pieces.length === 1 && pieces[0]?.name === member.name && pieces[0].volume === 1) return member;
  const hash = createHash('sha256').update(member.identity).update(JSON.stringify(pieces));
  return { ...member, identity: hash.digest('hex').slice(0, 32) };
}
