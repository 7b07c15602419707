import type { Gpu, GpuInventory, GpuShare } from '../../../contract/memory.ts';
import { fitsOf, type GpuRoom, type HostRoom } from '../engines/memory/layout.ts';
import { askedContext, layoutOf, type PlanQuestion, wantsGpu } from '../engines/memory/question.ts';
import { vllmWorld } from '../engines/memory/vllm-layout.ts';

/** A model that holds memory of GPUs, or is giving it back. */
export interface GpuHolder {
  readonly modelId: string;
  readonly servedName: string;
  readonly shares: readonly GpuShare[];
  /** It is wanted running; else it is on its way out and its memory comes back. */
  readonly stays: boolean;
}

const sharesOn = (uuid: string, holders: readonly GpuHolder[]): number =>
  holders.flatMap(({ shares }) => shares).reduce((total, share) => total + (share.uuid === uuid ? share.bytes : 0), 0);

/**
 * What each GPU has for one more model: all that it has, without what models hold that stay, and without what programs use
 * that are no model of ours. What a model on its way out still uses is counted as free: a start waits for it.
 */
export function gpuRooms(gpus: readonly Gpu[], holders: readonly GpuHolder[]): GpuRoom[] {
  const staying = holders.filter(({ stays }) => stays);
  return gpus.map(({ uuid, name, total_bytes, used_bytes, free_bytes }) => {
    const foreign = Math.max(0, used_bytes - sharesOn(uuid, holders));
    const available = used_bytes + free_bytes - foreign - sharesOn(uuid, staying);
    return { uuid, name, totalBytes: total_bytes, availableBytes: Math.max(0, available) };
  });
}

/** Free memory of these GPUs just now, in their order; 0 for one that is not there any more. */
export const freeBytes = ({ gpus }: GpuInventory, gpuIds: readonly string[]): number[] =>
  gpuIds.map((id) => gpus.find(({ uuid }) => uuid === id)?.free_bytes ?? 0);

type Question = Omit<PlanQuestion, 'room'>;

/**
 * The GPUs for a model: those that it had before where it fits there; else as few and as small ones as it fits on. Where
 * it fits nowhere, those with the most room.
 * @param kept the GPUs of its last start
 */
export function chooseGpus(
  question: Question,
  rooms: readonly GpuRoom[],
  host: HostRoom | null,
  kept: readonly string[],
): GpuRoom[] {
  if (!wantsGpu(question)) return [];
  const before = kept.flatMap((id) => rooms.find(({ uuid }) => uuid === id) ?? []);
  const counts = countsOf(question, rooms.length);
  const fits = (gpus: readonly GpuRoom[]) => {
    const asked = { ...question, room: { gpus, host } };
    return fitsOf(layoutOf(asked, askedContext(asked))) === true;
  };
  if (before.length > 0 && before.length === kept.length && counts.includes(before.length) && fits(before))
    return before;
  const smallestFirst = [...rooms].sort((a, b) => a.availableBytes - b.availableBytes);
  for (const count of counts) {
    for (let first = 0; first + count <= smallestFirst.length; first++) {
      const some = inOrder(smallestFirst.slice(first, first + count), rooms);
      if (fits(some)) return some;
    }
  }
  return inOrder(smallestFirst.slice(-(counts.at(-1) ?? 1)), rooms);
}

/** The engine numbers its GPUs as the machine does. */
const inOrder = (some: readonly GpuRoom[], all: readonly GpuRoom[]): GpuRoom[] =>
  all.filter((room) => some.includes(room));

/** How many GPUs it may be given, the fewest first. */
function countsOf({ model }: Question, there: number): number[] {
  if (model.engine === 'vllm') return [Math.min(vllmWorld(model), there)];
  const { split_mode, tensor_split } = model.options;
  if (split_mode === 'none') return [1];
  if (tensor_split !== null) return [Math.min(tensor_split.length, there)];
  return Array.from({ length: there }, (_, index) => index + 1);
}

/** The models that hold memory on GPUs, by their served names. */
export const holderNames = (holders: readonly GpuHolder[]): string[] =>
  holders.filter(({ stays, shares }) => stays && shares.length > 0).map(({ servedName }) => servedName);
