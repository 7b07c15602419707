const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** 10.2 GB, 148 MB: powers of ten, as Docker prints sizes. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit >= 3 || (unit > 0 && value < 10) ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** 42 s, 3 min 10 s, 2 h 5 min */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
