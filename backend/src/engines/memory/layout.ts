import type { MemoryDevice, MemoryPart } from '../../../../contract/memory.ts';

/** A GPU as a model finds it. */
export interface GpuRoom {
  readonly uuid: string;
  readonly name: string;
  readonly totalBytes: number;
  /** Without what other models hold and other programs use. */
  readonly availableBytes: number;
}

export interface HostRoom {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

/** The machine that a plan is made for. */
export interface Room {
  /** The GPUs that the model is to use, in the engine's order; null where there are some that nobody could count. */
  readonly gpus: readonly GpuRoom[] | null;
  readonly host: HostRoom | null;
}

/** Where the memory of one start goes. */
export interface Layout {
  readonly context: number;
  readonly kvBytesPerToken: number;
  readonly fullRequests: number | null;
  readonly devices: readonly MemoryDevice[];
  /** What can't be, whatever there is of memory. */
  readonly impossible: string | null;
  readonly notes: readonly string[];
}

export const GiB = 1024 ** 3;
export const MiB = 1024 ** 2;

const whole = (parts: readonly MemoryPart[]): MemoryPart[] =>
  parts.filter(({ bytes }) => bytes > 0).map(({ kind, bytes }) => ({ kind, bytes: Math.round(bytes) }));

const totalOf = (parts: readonly MemoryPart[]): number => parts.reduce((total, { bytes }) => total + bytes, 0);

export function gpuDevice(room: GpuRoom | null, parts: readonly MemoryPart[]): MemoryDevice {
  const shown = whole(parts);
  const planned_bytes = totalOf(shown);
  return {
    device: 'gpu',
    uuid: room?.uuid ?? null,
    name: room?.name ?? 'GPU',
    total_bytes: room?.totalBytes ?? null,
    available_bytes: room?.availableBytes ?? null,
    planned_bytes,
    parts: shown,
    fits: room === null ? null : planned_bytes <= room.availableBytes,
  };
}

export function hostDevice(room: HostRoom | null, parts: readonly MemoryPart[]): MemoryDevice {
  const shown = whole(parts);
  const planned_bytes = totalOf(shown);
  return {
    device: 'host',
    uuid: null,
    name: 'Main memory',
    total_bytes: room?.totalBytes ?? null,
    available_bytes: room?.availableBytes ?? null,
    planned_bytes,
    parts: shown,
    fits: room === null ? null : planned_bytes <= room.availableBytes,
  };
}

/** null where nobody knows how much there is of one of them and all others fit. */
export function fitsOf({ devices, impossible }: Layout): boolean | null {
  if (impossible !== null || devices.some(({ fits }) => fits === false)) return false;
  return devices.some(({ fits }) => fits === null) ? null : true;
}
