import type { OnDemandSettings } from '../../../contract/on-demand.ts';

/** A model on demand that serves. */
export interface Loaded {
  readonly modelId: string;
  readonly servedName: string;
  readonly settings: OnDemandSettings;
  /** Requests under way. */
  readonly open: number;
  readonly usedAtMs: number;
}

/** Workers tell at most this late which requests are under way. */
const settleMs = 2_000;

/** The model that makes room: of those that nobody uses the least important, and of these the one that was used last long ago. */
export function chooseToUnload(loaded: readonly Loaded[], priority: number, nowMs: number): Loaded | null {
  const idle = loaded.filter(
    ({ settings, open, usedAtMs }) => settings.priority <= priority && open === 0 && nowMs - usedAtMs >= settleMs,
  );
  const [first] = idle.sort((a, b) => a.settings.priority - b.settings.priority || a.usedAtMs - b.usedAtMs);
  return first ?? null;
}
