import { CortexError } from '../../../contract/errors.ts';
import type { ImagePull, PullProgress } from '../../../contract/image-pulls.ts';
import type { Images } from '../../../docker/images.ts';
import { pullFailure } from './pull-failure.ts';
import { PullMeter } from './pull-meter.ts';

const tellMs = 250;

export interface PullOptions {
  /** Told at most four times a second, and of every change of phase. */
  readonly onProgress?: (progress: PullProgress) => void;
  /** Aborted when the caller does not want the image any more. */
  readonly signal?: AbortSignal;
}

interface Waiter {
  readonly onProgress: (progress: PullProgress) => void;
  readonly leave: (error: unknown) => void;
}

interface Running {
  readonly startedAt: string;
  readonly meter: PullMeter;
  readonly waiters: Set<Waiter>;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** One pull per image at a time, shared by all who wait for it; it ends when nobody does any more. */
export class ImagePulls {
  readonly #images: Pick<Images, 'pull'>;
  readonly #timeoutSeconds: number;
  readonly #running = new Map<string, Running>();

  constructor(images: Pick<Images, 'pull'>, timeoutSeconds: number) {
    this.#images = images;
    this.#timeoutSeconds = timeoutSeconds;
  }

  /** @throws CortexError image_pull_* , image_not_in_registry, docker_failed, docker_unavailable */
  pull(image: string, { onProgress = () => undefined, signal }: PullOptions = {}): Promise<void> {
    if (signal?.aborted) return Promise.reject(new CortexError('image_pull_cancelled', { image }));
    const running = this.#running.get(image) ?? this.#begin(image);
    return new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { onProgress, leave: reject };
      const onAbort = () => {
        running.waiters.delete(waiter);
        reject(new CortexError('image_pull_cancelled', { image }));
        if (running.waiters.size === 0) this.#end(image, running);
      };
      running.waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
      running.done.then(resolve, reject).finally(() => signal?.removeEventListener('abort', onAbort));
    });
  }

  /** Ends the pull for all who wait. False where there is none. */
  cancel(image: string): boolean {
    const running = this.#running.get(image);
    if (running === undefined) return false;
    for (const waiter of running.waiters) waiter.leave(new CortexError('image_pull_cancelled', { image }));
    this.#end(image, running);
    return true;
  }

  list(): ImagePull[] {
    return [...this.#running].map(([image, { startedAt, meter, waiters }]) => ({
      image,
      started_at: startedAt,
      waiting: waiters.size,
      ...meter.read(Date.now()),
    }));
  }

  /** Docker ends a pull when its request goes. */
  #end(image: string, running: Running): void {
    if (this.#running.get(image) === running) this.#running.delete(image);
    running.stop.abort();
  }

  #begin(image: string): Running {
    const stop = new AbortController();
    const meter = new PullMeter();
    const waiters = new Set<Waiter>();
    const done = this.#run(image, meter, waiters, stop.signal);
    const running: Running = { startedAt: new Date().toISOString(), meter, waiters, stop, done };
    this.#running.set(image, running);
    const forget = () => {
      if (this.#running.get(image) === running) this.#running.delete(image);
    };
    done.then(forget, forget);
    return running;
  }

  async #run(image: string, meter: PullMeter, waiters: ReadonlySet<Waiter>, stop: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(this.#timeoutSeconds * 1000);
    let toldAtMs = 0;
    let phase: PullProgress['phase'] | null = null;
    try {
      await this.#images.pull(image, {
        signal: AbortSignal.any([timeout, stop]),
        onMessage: (message) => {
          const nowMs = Date.now();
          meter.take(message, nowMs);
          const progress = meter.read(nowMs);
          if (nowMs - toldAtMs < tellMs && progress.phase === phase) return;
          toldAtMs = nowMs;
          phase = progress.phase;
          for (const waiter of waiters) waiter.onProgress(progress);
        },
      });
    } catch (error) {
      if (stop.aborted) throw new CortexError('image_pull_cancelled', { image });
      if (timeout.aborted)
        throw new CortexError('image_pull_timeout', { image, seconds: this.#timeoutSeconds }, { cause: error });
      throw pullFailure(image, error);
    }
  }
}
