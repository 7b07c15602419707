import { describe, expect, it } from 'vitest';
import { PullMeter } from './pull-meter.ts';

const message = (id: string, status: string, current?: number, total?: number) => ({
  id,
  status,
  progressDetail: { current, total },
});

describe('the progress of a pull', () => {
  it('is the sum over the layers, with rate and time left once every size is known', () => {
    const meter = new PullMeter();
    meter.take({ id: 'v1', status: 'Pulling from some/image' }, 0);
    expect(meter.read(0)).toMatchObject({ phase: 'asking', layers: 0, total_bytes: null });
    meter.take(message('a', 'Pulling fs layer'), 0);
    meter.take(message('b', 'Pulling fs layer'), 0);
    meter.take(message('c', 'Already exists'), 0);
    meter.take(message('a', 'Downloading', 100, 1000), 1000);
    expect(meter.read(1000)).toMatchObject({ phase: 'downloading', layers: 3, layers_done: 1, done_bytes: 100 });
    expect(meter.read(1000)).toMatchObject({ total_bytes: null, seconds_left: null });
    meter.take(message('b', 'Downloading', 300, 3000), 2000);
    expect(meter.read(2000)).toEqual({
      phase: 'downloading',
      layers: 3,
      layers_done: 1,
      done_bytes: 400,
      total_bytes: 4000,
      bytes_per_second: 200,
      seconds_left: 18,
    });
    for (const id of ['a', 'b']) meter.take(message(id, 'Download complete'), 3000);
    expect(meter.read(3000)).toMatchObject({ phase: 'unpacking', done_bytes: 4000, bytes_per_second: null });
    for (const id of ['a', 'b']) meter.take(message(id, 'Pull complete'), 4000);
    expect(meter.read(4000)).toMatchObject({ layers_done: 3, done_bytes: 4000, total_bytes: 4000 });
  });

  it('tells the rate of the last seconds, not of the whole pull, and none where nothing comes any more', () => {
    const meter = new PullMeter();
    meter.take(message('a', 'Downloading', 0, 1_000_000), 0);
    meter.take(message('a', 'Downloading', 500_000, 1_000_000), 1_000);
    for (let second = 11; second <= 16; second += 1)
      meter.take(message('a', 'Downloading', 500_000 + second * 100, 1_000_000), second * 1_000);
    expect(meter.read(16_000).bytes_per_second).toBeCloseTo(100);
    expect(meter.read(60_000).bytes_per_second).toBeNull();
  });
});
