import type { ConfigurationChange } from '../../contract/configuration.ts';

const signs = { create: '+', update: '~', delete: '-', unchanged: '=' } as const;
const shown = (value: unknown): string => (value === null ? '(default)' : JSON.stringify(value));

/** A change in lines: what it is of, and each field with both values; of a secret only that it changes. */
export function changeLines({ kind, name, action, fields, restarts }: ConfigurationChange): string[] {
  const note = restarts ? ', the engine restarts' : '';
  return [
    `${signs[action]} ${kind} ${name} (${action}${note})`,
    ...fields.map(({ field, before, after, secret }) => {
      if (secret && after !== null) return `    ${field}: (a secret)`;
      return action === 'create' ? `    ${field}: ${shown(after)}` : `    ${field}: ${shown(before)} → ${shown(after)}`;
    }),
  ];
}

/** `2 to create, 1 to update, 4 unchanged` */
export function summaryLine(changes: readonly ConfigurationChange[]): string {
  const count = (action: ConfigurationChange['action']) => changes.filter((one) => one.action === action).length;
  const parts = (['create', 'update', 'delete'] as const).flatMap((action) =>
    count(action) > 0 ? [`${count(action)} to ${action}`] : [],
  );
  return [...(parts.length > 0 ? parts : ['No changes']), `${count('unchanged')} unchanged`].join(', ');
}
