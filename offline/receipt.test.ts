import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendReceipt, parseReceipts, readReceipts } from './receipt.ts';

const dir = mkdtempSync(join(tmpdir(), 'cortex-receipt-'));
const file = join(dir, 'receipts.jsonl');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const content = (act: 'load' | 'verify') => ({
  act,
  cortex_version: '0.1.0',
  media: ['/media/usb'],
  package_id: 'p',
  sequence: 1,
  created_at: null,
  key: null,
  exceptions: [],
  result: 'done' as const,
  objects: [{ name: 'redis-7.tar', result: 'loaded' }],
});

describe('the log of receipts', () => {
  beforeAll(async () => {
    for (let times = 0; times < 4; times += 1) await appendReceipt(file, content('load'));
  });

  it('numbers what happened, and each line follows the one before', async () => {
    const entries = await readReceipts(file);
    expect(entries.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
    expect(entries[3]?.previous).toBe(entries[2]?.hash);
  });

  it('shows a line that was changed, taken out, put in or moved', () => {
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const [first = '', second = '', third = ''] = lines;
    const broken = (text: string) => expect(() => parseReceipts(text, 'log')).toThrow('was altered');
    broken([first, second.replace('redis-7.tar', 'other.tar'), third].join('\n'));
    broken([first, third].join('\n'));
    broken([first, first, second].join('\n'));
    broken([second, first].join('\n'));
    broken([first, '{}', second].join('\n'));
    expect(parseReceipts([first, second].join('\n'), 'log')).toHaveLength(2);
  });

  it('is not continued on top of an alteration', async () => {
    const altered = join(dir, 'altered.jsonl');
    writeFileSync(altered, readFileSync(file, 'utf8').replace('/media/usb', '/media/xxx'));
    await expect(appendReceipt(altered, content('verify'))).rejects.toMatchObject({ code: 'receipt_broken' });
  });
});
