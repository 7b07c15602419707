export type Work = 'prepare' | 'load' | 'verify' | 'push';

/** What happens while a package is prepared, loaded or verified. Terminals, pipes and logs are readers of the same events. */
export type PackageEvent =
  | { readonly kind: 'started'; readonly work: Work; readonly dir: string }
  | { readonly kind: 'resolved'; readonly reference: string; readonly file: string; readonly sizeBytes: number }
  /** `presentBytes` of `totalBytes` need not be moved. */
  | { readonly kind: 'planned'; readonly totalBytes: number; readonly presentBytes: number }
  | { readonly kind: 'file-started'; readonly file: string; readonly sizeBytes: number }
  | { readonly kind: 'bytes'; readonly file: string; readonly bytes: number }
  | {
      readonly kind: 'file-done';
      readonly file: string;
      readonly sizeBytes: number;
      readonly note: 'new' | 'kept' | 'present' | 'whole';
    }
  | {
      readonly kind: 'file-failed';
      readonly file: string;
      readonly sizeBytes: number;
      readonly code: string;
      readonly message: string;
      readonly hint: string;
    }
  | { readonly kind: 'note'; readonly message: string }
  | { readonly kind: 'warning'; readonly message: string }
  | {
      readonly kind: 'finished';
      readonly work: Work;
      readonly succeeded: number;
      readonly failed: number;
      readonly totalBytes: number;
    };

export type Report = (event: PackageEvent) => void;
