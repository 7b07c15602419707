/** What the server's thread asks of the thread that holds the embedded database. */
export type WorkerRequest =
  | { readonly id: number; readonly kind: 'query'; readonly sql: string; readonly parameters: readonly unknown[] }
  | { readonly id: number; readonly kind: 'close' };

export interface WorkerAnswer {
  readonly id: number;
  readonly rows: readonly unknown[];
  readonly affectedRows: number;
  readonly error: { readonly message: string; readonly code: string | null; readonly constraint: string | null } | null;
}
