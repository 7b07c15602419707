import { fitsOf, type Layout, type Room } from './layout.ts';
import { isSince, type LlamacppStart, llamacppContext, llamacppLayout, shrinksItself } from './llamacpp-layout.ts';
import type { MemoryModel } from './options.ts';
import type { ModelShape } from './shape.ts';
import { vllmContext, vllmLayout } from './vllm-layout.ts';

export interface PlanQuestion {
  readonly model: MemoryModel;
  readonly shape: ModelShape;
  /** Of the engine; null counts as the newest. */
  readonly version: string | null;
  readonly room: Room;
}

/** The context that is asked about where nothing longer is known. */
const longestQuestion = 1_048_576;
const contextStep = 256;
const smallestFittedContext = 4096;

/** Where the memory of a start goes, with the context that it asks for or with another one. */
export function layoutOf({ model, shape, version, room }: PlanQuestion, context?: number): Layout {
  if (model.engine === 'vllm') {
    const start = { shape, options: model.options, version, room };
    return vllmLayout(start, context ?? vllmContext(start));
  }
  const start = { shape, options: model.options, version, room };
  return context === undefined ? settledLayout(start) : llamacppLayout(start, context, layersWanted(start));
}

/** The context that the options ask for, whether it fits or not. */
export function askedContext({ model, shape, version, room }: PlanQuestion): number {
  if (model.engine === 'vllm') return vllmContext({ shape, options: model.options, version, room });
  return llamacppContext({ shape, options: model.options, version, room });
}

/** Whether the engine would put anything on a GPU. */
export const wantsGpu = ({ model, shape, version }: Omit<PlanQuestion, 'room'>): boolean =>
  model.engine === 'vllm' ||
  layersWanted({ shape, options: model.options, version, room: { gpus: null, host: null } }) > 0;

function layersWanted({ shape, options, version, room }: LlamacppStart): number {
  if (room.gpus?.length === 0) return 0;
  return options.gpu_layers ?? (isSince(version, 'allLayers') ? shape.layers.length + 1 : 0);
}

/** What llama.cpp will do: newer builds shrink the context, then the layers on the GPU, where these were left open. */
function settledLayout(start: LlamacppStart): Layout {
  const layers = layersWanted(start);
  const context = llamacppContext(start);
  const asked = llamacppLayout(start, context, layers);
  if (fitsOf(asked) !== false || !shrinksItself(start) || layers === 0) return asked;
  const openContext = start.options.context_size === null;
  const fitted = openContext
    ? largestWhere(context, smallestFittedContext, (tokens) => fitsOf(llamacppLayout(start, tokens, layers)) !== false)
    : null;
  if (fitted !== null)
    return noted(
      llamacppLayout(start, fitted, layers),
      'The context is left open: llama.cpp shortens it until it fits.',
    );
  if (start.options.gpu_layers !== null) return asked;
  const least = openContext ? Math.min(context, smallestFittedContext) : context;
  for (let fewer = layers - 1; fewer >= 0; fewer--) {
    const layout = llamacppLayout(start, least, fewer);
    if (fitsOf(layout) !== false)
      return noted(
        layout,
        `llama.cpp keeps ${fewer} of ${layers} layers on the GPU and the rest in main memory, which is slow.`,
      );
  }
  return asked;
}

const noted = (layout: Layout, note: string): Layout => ({ ...layout, notes: [note, ...layout.notes] });

/** The largest multiple of 256 up to a limit for which it holds; null where it holds for none from the least one on. */
function largestWhere(limit: number, least: number, holds: (tokens: number) => boolean): number | null {
  if (holds(limit)) return limit;
  let low = Math.ceil(least / contextStep);
  let high = Math.floor(limit / contextStep);
  if (low > high || !holds(low * contextStep)) return null;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle * contextStep)) low = middle;
    else high = middle - 1;
  }
  return low * contextStep;
}

/** The longest context that fits with all else as it is; null where it can't be told. */
export function largestContext(question: PlanQuestion): number | null {
  const atAll = layoutOf(question, contextStep);
  if (fitsOf(atAll) === null) return null;
  const limit = question.shape.contextLength ?? longestQuestion;
  return largestWhere(limit, contextStep, (tokens) => fitsOf(layoutOf(question, tokens)) === true) ?? 0;
}
