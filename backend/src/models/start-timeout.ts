/** Hard disks and network shares read so much; SSDs ten times as much. */
const slowDiskBytesPerSecond = 50e6;

/** How long a model may take to start: as long as is set, or as long as a slow disk takes to read its weights. */
export const startTimeoutMs = (weightBytes: number | null, settingSeconds: number): number =>
  Math.max(settingSeconds * 1000, ((weightBytes ?? 0) / slowDiskBytesPerSecond) * 1000);
