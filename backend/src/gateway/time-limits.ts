/** What may take only so long. */
export interface TimeLimited {
  /** Where it stands among the watched, for this file alone; -1 is nowhere. */
  watchedAt: number;
  /** Called some twenty times a second. @param nowMs by performance.now(): the machine's clock may jump */
  checkTime(nowMs: number): void;
}

/** A limit of a second is then kept to a twentieth. */
const everyMs = 50;
/**
 * No Set: V8 makes a new table for it after so many additions, and the old one points to it. Once a dead table was moved to
 * the old generation it kept all later ones with their requests, and two fifths of what requests allocate outlived them.
 */
const watched: TimeLimited[] = [];
let timer: NodeJS.Timeout | null = null;

/** All requests are looked at together: to set and clear a timer takes some 0.8 µs, and each request has up to three limits. */
export function watchTime(one: TimeLimited): void {
  one.watchedAt = watched.push(one) - 1;
  timer ??= setInterval(checkAll, everyMs).unref();
}

export function forgetTime(one: TimeLimited): void {
  const at = one.watchedAt;
  if (at === -1) return;
  one.watchedAt = -1;
  const last = watched.pop();
  if (last === undefined || last === one) return;
  watched[at] = last;
  last.watchedAt = at;
}

function checkAll(): void {
  const nowMs = performance.now();
  // From the end, as one that is taken out has its place taken by the last.
  for (let at = watched.length - 1; at >= 0; at -= 1) watched[at]?.checkTime(nowMs);
  if (watched.length > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}
