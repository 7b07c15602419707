import { randomBytes } from 'node:crypto';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** A new random id with its kind in front: `key_` and 16 characters of base32 (80 bits). */
export function newId(kind: 'org' | 'usr' | 'ses' | 'key' | 'mdl' | 'end' | 'rcp' | 'dwn' | 'bmk'): string {
  let text = '';
  for (const byte of randomBytes(16)) text += alphabet[byte & 31] ?? '';
  return `${kind}_${text}`;
}
