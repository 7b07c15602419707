import { describe, expect, it } from 'vitest';
import { cleanLine } from './model-logs.ts';

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
