/** A client that waits for a model to be loaded. */
export interface Waiting {
  readonly loaded: () => void;
  readonly refused: (error: Error) => void;
}

/** A model that is being loaded for requests. */
export interface Load {
  readonly waiting: Set<Waiting>;
  /** A request had it started, no operator. */
  begun: boolean;
  /** Somebody was told to come back later. */
  comingBack: boolean;
  loaded: boolean;
}

export const newLoad = (): Load => ({ waiting: new Set(), begun: false, comingBack: false, loaded: false });

/** Waits until the model is loaded, its time is over, or the client leaves; whichever is first, once. */
export function waitFor(
  load: Load,
  timeoutMs: number,
  gone: AbortSignal,
  on: { readonly tooLate: () => Error; readonly left: () => void },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (act: () => void) => {
      clearTimeout(timer);
      gone.removeEventListener('abort', left);
      load.waiting.delete(waiting);
      act();
    };
    const waiting: Waiting = { loaded: () => end(resolve), refused: (error) => end(() => reject(error)) };
    const left = () => {
      end(() => reject(new Error('the client has gone')));
      on.left();
    };
    const tooLate = () => {
      load.comingBack = true;
      end(() => reject(on.tooLate()));
    };
    const timer = timeoutMs > 0 ? setTimeout(tooLate, timeoutMs) : undefined;
    gone.addEventListener('abort', left, { once: true });
    load.waiting.add(waiting);
  });
}
