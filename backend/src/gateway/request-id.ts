import { randomFillSync } from 'node:crypto';

const idBytes = 16;
/** Random bytes for some ids ahead: asking for them one by one costs more than all else here. */
const pool = Buffer.alloc(idBytes * 256);
let used = pool.length;

/** `req_` and 128 random bits. */
export function newRequestId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += idBytes;
  return `req_${pool.toString('hex', used - idBytes, used)}`;
}
