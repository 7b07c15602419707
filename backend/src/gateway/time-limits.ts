/** What may take only so long. */
export interface TimeLimited {
  /** Called some twenty times a second. @param nowMs by performance.now(): the machine's clock may jump */
  checkTime(nowMs: number): void;
}

/** A limit of a second is then kept to a twentieth. */
const everyMs = 50;
const watched = new Set<TimeLimited>();
let timer: NodeJS.Timeout | null = null;

/** All requests are looked at together: to set and clear a timer takes some 0.8 µs, and each request has up to three limits. */
export function watchTime(one: TimeLimited): void {
  watched.add(one);
  timer ??= setInterval(checkAll, everyMs).unref();
}

export function forgetTime(one: TimeLimited): void {
  watched.delete(one);
}

function checkAll(): void {
  const nowMs = performance.now();
  for (const one of watched) one.checkTime(nowMs);
  if (watched.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}
