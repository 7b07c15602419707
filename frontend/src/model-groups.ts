import type { Model } from '../../contract/models.ts';

/** What the list of models may be narrowed to; each model is in one of them. */
export const modelGroups = ['running', 'stopped', 'trouble'] as const;
export type ModelGroup = (typeof modelGroups)[number];

export const groupNames: Record<ModelGroup, string> = { running: 'Running', stopped: 'Stopped', trouble: 'In trouble' };

export function groupOf({ state, wanted }: Model): ModelGroup {
  if (state === 'failed' || state === 'unhealthy') return 'trouble';
  return wanted === 'running' || state !== 'stopped' ? 'running' : 'stopped';
}
