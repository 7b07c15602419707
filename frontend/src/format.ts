const units = ['B', 'kB', 'MB', 'GB', 'TB'];

export function formatBytes(bytes: number): string {
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** unit;
  return `${value.toFixed(value < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** 14.9 GiB: memory of GPUs is counted in powers of two, by NVIDIA and by the engines. */
export const formatGib = (bytes: number): string => {
  const gib = bytes / 1024 ** 3;
  return gib > 0 && gib < 1 ? `${Math.max(1, Math.round(gib * 1024))} MiB` : `${gib.toFixed(1)} GiB`;
};

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const steps: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
];

/** 3 minutes ago; the exact time belongs into the title. */
export function formatAgo(iso: string): string {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  const [unit, size] = steps.find(([, length]) => Math.abs(seconds) >= length) ?? ['second', 1];
  return relative.format(Math.round(seconds / size), unit);
}

export const formatCount = (value: number): string => value.toLocaleString('en');

const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
/** 12.3K: where there is room for few characters; the whole number belongs into the title. */
export const formatShort = (value: number): string => short.format(value);

/** 340 ms, 2.4 s, 3.1 min; a dash where nothing was measured. */
export function formatDuration(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

/** 3.2, 48.1, 1,204: what comes in a second; a dash where nothing was measured. */
export const formatRate = (perSecond: number | null): string =>
  perSecond === null ? '–' : perSecond.toLocaleString('en', { maximumFractionDigits: perSecond < 100 ? 1 : 0 });
