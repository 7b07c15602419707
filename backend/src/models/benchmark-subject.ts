import { cpus } from 'node:os';
import type { BenchmarkSubject } from '../../../contract/benchmarks.ts';
import type { Model } from '../../../contract/models.ts';
import { containerName, factsOfName } from './container-spec.ts';
import type { EngineRoom } from './engine-room/room.ts';
import type { Models } from './models.ts';

/** A model and what it runs on, so that two benchmarks of it can be told apart. What nobody tells now is left out. */
export async function benchmarkSubject(
  model: Model,
  room: Pick<EngineRoom, 'inspect' | 'ask'>,
  models: Pick<Models, 'gpus'>,
): Promise<BenchmarkSubject> {
  const { id, served_name, engine, task, version, folder, file, replicas, options, image } = model;
  const byName = factsOfName(engine, image);
  const [container, facts, inventory] = await Promise.all([
    room.inspect(containerName(id, 0)).catch(() => null),
    room.ask(engine).catch(() => byName),
    models.gpus().catch(() => null),
  ]);
  const held = inventory?.reservations.find(({ model_id }) => model_id === id)?.shares ?? [];
  const uuids = [...new Set(held.map(({ uuid }) => uuid))];
  const [cpu] = cpus();
  return {
    ...{ served_name, engine, task, model_version: version, folder, file, replicas, options, image },
    image_id: container?.image ?? null,
    engine_version: facts.version,
    gpus: uuids.map((uuid) => inventory?.gpus.find((gpu) => gpu.uuid === uuid)?.name ?? uuid),
    cpu: `${cpus().length} × ${cpu?.model ?? 'unknown'}`,
  };
}
