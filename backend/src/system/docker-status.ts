import { CortexError } from '../../../contract/errors.ts';
import type { SystemSummary } from '../../../contract/system.ts';

/** The part of the Docker Engine that its status needs. */
export interface EngineStatusSource {
  info(): Promise<{ readonly serverVersion: string; readonly imageStore: 'graphdriver' | 'containerd' }>;
}

const answerMs = 3_000;

/** Whether the Docker Engine answers; if not, why, and how to get one. Never throws. */
export async function readDockerStatus(engine: EngineStatusSource, address: string): Promise<SystemSummary['docker']> {
  try {
    const { serverVersion, imageStore } = await withinTime(engine.info(), answerMs);
    return { available: true, address, version: serverVersion, image_store: imageStore, problem: null, hint: null };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const known = error instanceof CortexError ? error : new CortexError('docker_unavailable', { address, reason });
    const absent = { available: false, address, version: null, image_store: null };
    return { ...absent, problem: known.message, hint: known.hint };
  }
}

function withinTime<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
