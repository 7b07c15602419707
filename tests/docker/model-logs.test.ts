import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { followLog, wholeLog } from '../../backend/src/models/model-logs.ts';
import { SupervisedModels } from './supervised-models.ts';

const models = new SupervisedModels();
beforeAll(() => models.prepare());
afterEach(() => models.clear());
afterAll(() => models.close());

async function whole(question: Parameters<typeof wholeLog>[1]): Promise<string> {
  let text = '';
  for await (const piece of wholeLog(models.room, question)) text += piece;
  return text;
}

it('a log is followed over a restart of its engine, each line once, and ends with its reader', async () => {
  const model = models.record('tiny');
  models.records = [model];
  models.watch();
  await models.untilState('ready');
  const question = { modelId: model.id, replica: 0, secrets: [] };
  const stop = new AbortController();
  const starts: string[][] = [];
  const following = (async () => {
    for await (const { begins, lines } of followLog(models.room, question, 100, stop.signal)) {
      if (begins) starts.push([]);
      starts.at(-1)?.push(...lines);
    }
  })();
  const isReady = (lines: readonly string[] | undefined) =>
    lines?.some((line) => line.includes('server is listening on')) ?? false;
  await expect.poll(() => isReady(starts[0]), { timeout: 10_000 }).toBe(true);
  const container = await models.containerOf(model);
  await models.engine.containers.remove(container?.id ?? '', { force: true });
  await expect.poll(() => isReady(starts[1]), { timeout: 30_000 }).toBe(true);
  stop.abort();
  await following;
  expect(starts).toHaveLength(2);
  const file = (await whole(question)).trimEnd().split('\n');
  expect(starts[1]).toEqual(file.slice(0, starts[1]?.length));
});
