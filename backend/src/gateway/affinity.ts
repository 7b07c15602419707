import { hash } from 'node:crypto';
import type { InspectedBody } from './body.ts';

/** More of it would tell apart what begins alike for a long way, and cost a long request more than a short one. */
const longestChars = 2048;

/**
 * What the request has in common with others that should meet the same cache: its session, or how it begins. A conversation
 * counts up to its first question, which all its turns have in common. Null where there is nothing that a model would have
 * in its cache.
 */
export function affinityOf({ session, sent }: Pick<InspectedBody, 'session' | 'sent'>): string | null {
  if (session !== null) return `session ${session}`;
  const text = textIn(opening(sent.messages ?? sent.prompt ?? sent.input ?? ''), longestChars);
  return text === '' ? null : `prefix ${hash('sha256', text)}`;
}

function opening(told: unknown): unknown {
  if (!Array.isArray(told)) return told;
  const question = told.findIndex(isQuestion);
  return question === -1 ? told : told.slice(0, question + 1);
}

const isQuestion = (message: unknown): boolean =>
  typeof message === 'object' && message !== null && 'role' in message && message.role === 'user';

/** The first characters of all that is written inside; each value takes one at least, so that the walk has an end. */
function textIn(value: unknown, room: number): string {
  if (typeof value === 'string') return value.slice(0, room);
  if (typeof value !== 'object' || value === null) return `${String(value)} `;
  let text = '';
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    if (text.length >= room) break;
    text += `${textIn(part, room - text.length)} `;
  }
  return text;
}
