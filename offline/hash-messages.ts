/** Where a run of bytes lies: pieces one after the other. */
export interface ByteSource {
  readonly pieces: readonly { readonly path: string; readonly sizeBytes: number }[];
}

/** What goes to a hash worker. */
export type HashRequest =
  /** Hash a file that is still being written, as far as `advance` says. `marks` are ranges whose own sums are wanted. */
  | {
      readonly kind: 'follow';
      readonly job: number;
      readonly source: ByteSource;
      readonly chunkBytes: number;
      readonly marks: readonly { readonly offset: number; readonly sizeBytes: number }[];
    }
  | { readonly kind: 'advance'; readonly job: number; readonly upTo: number }
  /** The sums of ranges that lie still. */
  | {
      readonly kind: 'sums';
      readonly job: number;
      readonly ranges: readonly { readonly source: ByteSource; readonly offset: number; readonly sizeBytes: number }[];
    };

export type HashAnswer =
  | { readonly kind: 'mark'; readonly job: number; readonly index: number; readonly sum: string }
  | { readonly kind: 'whole'; readonly job: number; readonly sha256: string; readonly chunks: readonly string[] }
  /** `null` where the range could not be read. */
  | { readonly kind: 'sums'; readonly job: number; readonly sums: readonly (string | null)[] }
  | { readonly kind: 'failed'; readonly job: number; readonly message: string };
