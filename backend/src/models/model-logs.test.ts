import { describe, expect, it } from 'vitest';
import { cleanLine, wholeLog } from './model-logs.ts';

describe('a line of a log', () => {
  it.each<[string, string, string]>([
    ['without colours', '\x1b[32mINFO\x1b[0m 07:11 \x1b[1;31mready\x1b[0m', 'INFO 07:11 ready'],
    ['without titles and cursor movements', '\x1b]0;evil\x07a\x1b[2Kb\x1b[3;4Hc', 'abc'],
    ['without control characters', 'a\0b\x08c\x9bd\te', 'abcd\te'],
    ['of a progress bar is its last state', ' 10%|#   \r 50%|##  \r100%|####\r', '100%|####'],
    ['shows no secret', "args: {'api_key': ['s3cret-key']}", "args: {'api_key': ['‹hidden›']}"],
    ['keeps what looks like markup as text', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
  ])('%s', (_what, line, shown) => {
    expect(cleanLine(line, ['s3cret-key'])).toBe(shown);
  });

  it('is cut where it is longer than a person reads', () => {
    expect(cleanLine('x'.repeat(100_000), [])).toHaveLength(8_002);
  });
});

describe('a log whose reader leaves early', () => {
  const question = { modelId: 'mdl_1', replica: 0, secrets: [] };

  it('is read no further from Docker', async () => {
    let open = true;
    const room = {
      async *logs() {
        try {
          for (let line = 0; ; line += 1) {
            await Promise.resolve();
            yield `line ${line}`;
          }
        } finally {
          open = false;
        }
      },
    };
    for await (const text of wholeLog(room, question)) {
      expect(text).toMatch(/^line 0\n/);
      break;
    }
    await expect.poll(() => open).toBe(false);
  });

  it('breaks nothing when it fails afterwards', async () => {
    const unhandled: unknown[] = [];
    const hear = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', hear);
    const room = {
      async *logs() {
        // As many as are given together.
        for (let line = 0; line < 500; line += 1) yield `line ${line}`;
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error('the connection was reset');
      },
    };
    for await (const _ of wholeLog(room, question)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
    process.off('unhandledRejection', hear);
    expect(unhandled).toEqual([]);
  });
});
