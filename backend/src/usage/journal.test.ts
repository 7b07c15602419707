import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { UsageRecord } from '../../../contract/usage.ts';
import { usageOf } from '../../../tests/db/usage-record.ts';
import { UsageJournal } from './journal.ts';
import { JournalReader } from './journal-reader.ts';
import { UsageJournals } from './journals.ts';
import { UsageWriter } from './writer.ts';

const record = (name: string): UsageRecord => usageOf({ request_id: name, served_name: 'héllo 🙂' });
const lineBytes = Buffer.byteLength(`${JSON.stringify(record('r00'))}\n`);

let dir: string;
let logged: string[];
const logger = {
  warn: (_details: object, message: string) => void logged.push(message),
  error: (_details: object, message: string) => void logged.push(message),
};

/** Both ends of a journal. */
interface Ends {
  readonly journal: UsageJournal;
  readonly reader: JournalReader;
}
const open = async (segmentLimitBytes = 1_000_000, at = dir): Promise<Ends> => ({
  journal: await UsageJournal.open({ dir: at, logger, segmentLimitBytes }),
  reader: await JournalReader.open(at, logger),
});

/** A writer as the server wires it; its end closes the journal as well. */
function startWriter({ journal, reader }: Ends, insert: (records: readonly UsageRecord[]) => Promise<void>) {
  const writer = new UsageWriter({ readers: [reader], insert, logger });
  journal.onAppend = () => writer.wake();
  const close = async () => {
    await journal.flush();
    await writer.close();
    await journal.close();
  };
  return { close };
}

const segments = async () => (await readdir(dir)).filter((name) => name.endsWith('.jsonl')).sort();

/** Reads all, telling the journal after each batch that the database has it. */
async function drain({ reader }: Ends, limit = 500): Promise<string[]> {
  const names: string[] = [];
  for (let batch = await reader.read(limit); batch !== null; batch = await reader.read(limit)) {
    names.push(...batch.records.map((found) => found.request_id));
    await reader.advance(batch.next);
  }
  return names;
}

async function appendAll({ journal }: Ends, names: readonly string[]): Promise<void> {
  for (const name of names) {
    journal.append(record(name));
    // One write each, as requests come.
    await journal.flush();
  }
}

const names = (count: number, prefix = 'r') =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(2, '0')}`);

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cortex-journal-'));
  logged = [];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the usage journal', () => {
  it('gives back what was appended, in its order, once', async () => {
    const ends = await open();
    for (const name of names(50)) ends.journal.append(record(name));
    await ends.journal.flush();
    expect(await drain(ends, 7)).toEqual(names(50));
    expect(await ends.reader.read(10)).toBeNull();
    await ends.journal.close();
    expect((await stat(join(dir, (await segments())[0] ?? ''))).mode & 0o077).toBe(0);
  });

  it('calls back when all that was appended is in the file, and at once where nothing is on its way', async () => {
    const ends = await open();
    const seen: string[] = [];
    const look = async (what: string) => {
      const [name = ''] = await segments();
      const text = await readFile(join(dir, name), 'utf8');
      seen.push(`${what}: ${text.split('\n').length - 1}`);
    };
    const kept = (then: () => void) => new Promise<void>((resolve) => ends.journal.whenKept(() => resolve(then())));
    let isAtOnce = false;
    ends.journal.whenKept(() => {
      isAtOnce = true;
    });
    expect(isAtOnce).toBe(true);
    ends.journal.append(record('a'));
    ends.journal.append(record('b'));
    const first = kept(() => seen.push('first'));
    const second = kept(() => seen.push('second'));
    ends.journal.append(record('c'));
    expect(seen).toEqual([]);
    await Promise.all([first, second]);
    await look('lines');
    expect(seen).toEqual(['first', 'second', 'lines: 3']);
    await ends.journal.close();
  });

  it('calls back as well where the disk takes nothing', async () => {
    const ends = await open(2 * lineBytes);
    await appendAll(ends, names(3));
    await rm(dir, { recursive: true });
    ends.journal.append(record('x'));
    await new Promise<void>((resolve) => ends.journal.whenKept(resolve));
    expect(ends.journal.ok).toBe(false);
    await ends.journal.close();
  });

  it('goes on after a restart where the database stopped', async () => {
    const first = await open();
    await appendAll(first, names(10));
    const batch = await first.reader.read(4);
    if (batch !== null) await first.reader.advance(batch.next);
    await first.reader.read(4);
    await first.journal.close();
    const second = await open();
    expect(await drain(second)).toEqual(names(10).slice(4));
    await second.journal.close();
  });

  it('begins a new file at its limit and removes what the database has', async () => {
    const ends = await open(3 * lineBytes);
    await appendAll(ends, names(20));
    expect((await segments()).length).toBeGreaterThan(4);
    expect(await ends.reader.depthBytes()).toBe(20 * lineBytes);
    expect(await drain(ends)).toEqual(names(20));
    expect(await ends.reader.depthBytes()).toBe(0);
    expect((await segments()).length).toBe(1);
    await ends.journal.close();
  });

  it('loses no whole line and doubles none, wherever a crash cuts it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(12 * lineBytes),
        fc.nat(12),
        fc.constantFrom(2 * lineBytes, 1_000_000),
        async (cutBytes, readFirst, limitBytes) => {
          const at = await mkdtemp(join(dir, 'cut-'));
          const before = await open(limitBytes, at);
          await appendAll(before, names(12));
          const taken = readFirst === 0 ? null : await before.reader.read(readFirst);
          if (taken !== null) await before.reader.advance(taken.next);
          await before.journal.close();
          const newest =
            (await readdir(at))
              .filter((name) => name.endsWith('.jsonl'))
              .sort()
              .at(-1) ?? '';
          const size = (await stat(join(at, newest))).size;
          const end = Math.min(cutBytes, size);
          await truncate(join(at, newest), end);
          const whole = 12 - (size / lineBytes - Math.floor(end / lineBytes));

          const after = await open(limitBytes, at);
          await appendAll(after, names(3, 'n'));
          const database = new Set(taken?.records.map((found) => found.request_id));
          for (const name of await drain(after)) database.add(name);
          await after.journal.close();
          // What the cut took may be in the database already; all else must come, and what came later as well.
          const lastLineIsWhole = end % lineBytes === lineBytes - 1 ? 1 : 0;
          const expected = [...names(12).slice(0, whole + lastLineIsWhole), ...names(3, 'n')];
          expect([...database]).toEqual(expect.arrayContaining(expected));
          expect([...database].filter((name) => !names(12).includes(name) && !name.startsWith('n'))).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(['', '{', '{"segment":"x"}', '{"segment":99,"offset":0}', '{"segment":1,"offset":99999999}', 'null'])(
    'reads all again where its cursor is damaged: %s',
    async (text) => {
      const first = await open();
      await appendAll(first, names(3));
      await drain(first);
      await first.journal.close();
      await writeFile(join(dir, 'cursor.json'), text);
      const second = await open();
      await appendAll(second, ['new']);
      expect(await drain(second)).toEqual([...names(3), 'new']);
      await second.journal.close();
    },
  );

  it('leaves damaged lines out, also very long ones, and reads on', async () => {
    const first = await open();
    await appendAll(first, ['a']);
    await first.journal.close();
    const [segment = ''] = await segments();
    const line = await readFile(join(dir, segment), 'utf8');
    const damage = `${'x'.repeat(3 * 1024 * 1024)}\n{"request_id":1}\n\n`;
    await writeFile(join(dir, segment), `${line}${damage}${line.replace('"a"', '"b"')}`);
    const second = await open();
    expect(await drain(second)).toEqual(['a', 'b']);
    expect(logged.length).toBeGreaterThan(0);
    await second.journal.close();
  });

  it.runIf(process.platform === 'linux')(
    'keeps records in memory while the disk takes nothing, and loses none',
    async () => {
      const limitFileBytes = (value: string) =>
        execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${value}:`]);
      const ignore = () => undefined;
      process.on('SIGXFSZ', ignore);
      const ends = await open();
      await appendAll(ends, names(3));
      // In the middle of a line, as a disk gets full.
      limitFileBytes(String(4 * lineBytes + 20));
      try {
        for (const name of names(20).slice(3)) ends.journal.append(record(name));
        await ends.journal.flush();
        expect(ends.journal.ok).toBe(false);
        expect(await drain(ends)).toEqual(expect.arrayContaining(names(3)));
      } finally {
        limitFileBytes('unlimited');
        process.off('SIGXFSZ', ignore);
      }
      await vi.waitFor(() => expect(ends.journal.ok).toBe(true), 3000);
      ends.journal.append(record('after'));
      await ends.journal.flush();
      await ends.journal.close();
      await rm(join(dir, 'cursor.json'));
      const again = await open();
      expect(await drain(again)).toEqual([...names(20), 'after']);
      await again.journal.close();
      expect(logged).toEqual([
        'The usage journal cannot be written; records wait in memory',
        'The usage journal can be written again',
      ]);
    },
  );

  it.runIf(process.platform === 'linux')(
    'keeps no more than memory has room for, and says how many it left out',
    async () => {
      const ignore = () => undefined;
      process.on('SIGXFSZ', ignore);
      const { journal } = await open();
      execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=1:']);
      try {
        const same = record('same');
        for (let number = 0; number < 100_007; number += 1) journal.append(same);
        await journal.flush();
        expect(journal).toMatchObject({ ok: false, waiting: 100_000, dropped: 7 });
      } finally {
        execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited:']);
        process.off('SIGXFSZ', ignore);
      }
      // Some 50 MB, on a disk that others use too.
      await vi.waitFor(() => expect(journal).toMatchObject({ ok: true, waiting: 0, dropped: 0 }), 30_000);
      await journal.close();
    },
    60_000,
  );
});

describe('the usage journals of a server', () => {
  const openAll = (workers: number) => UsageJournals.open({ dir, workers, logger });
  const writeAll = async (journals: UsageJournals): Promise<string[]> => {
    const written: string[] = [];
    const insert = (records: readonly UsageRecord[]) => {
      written.push(...records.map((found) => found.request_id));
      return Promise.resolve();
    };
    await journals.own.close();
    await new UsageWriter({ readers: journals.readers, insert, logger }).close();
    return written.sort();
  };

  it('brings in what workers append, also such of an earlier start with more of them, and then forgets these', async () => {
    const before = await openAll(3);
    for (const slot of [0, 1, 2]) {
      const worker = await UsageJournal.open({ dir: before.folderOf(slot), logger });
      worker.append(record(`worker-${slot}`));
      await worker.close();
    }
    await before.own.close();
    const after = await openAll(0);
    after.own.append(record('own'));
    expect(await after.depthBytes()).toBeGreaterThan(3 * lineBytes);
    expect(await writeAll(after)).toEqual(['own', 'worker-0', 'worker-1', 'worker-2']);
    expect(await after.depthBytes()).toBe(0);
    const last = await openAll(0);
    expect(await writeAll(last)).toEqual([]);
    expect((await readdir(dir)).filter((name) => name.startsWith('worker-'))).toEqual([]);
  });

  it('passes a line on once it is whole, and reads over one that a killed worker left half', async () => {
    const journals = await openAll(1);
    const path = join(journals.folderOf(0), 'journal-00000001.jsonl');
    const first = await UsageJournal.open({ dir: journals.folderOf(0), logger });
    await first.close();
    const line = `${JSON.stringify(record('half'))}\n`;
    const [, reader] = journals.readers;
    await writeFile(path, line.slice(0, 50));
    expect(await reader?.read(10)).toBeNull();
    const second = await UsageJournal.open({ dir: journals.folderOf(0), logger });
    second.append(record('next'));
    await second.close();
    expect(await writeAll(journals)).toEqual(['next']);
  });

  it('says how all of them do, and forgets what a worker said that has ended', async () => {
    const journals = await openAll(2);
    journals.heard(0, { ok: false, waiting: 3, dropped: 1 });
    journals.heard(1, { ok: true, waiting: 2, dropped: 0 });
    expect(journals.state).toEqual({ ok: false, waiting: 5, dropped: 1 });
    journals.heard(0, null);
    expect(journals.state).toEqual({ ok: true, waiting: 2, dropped: 0 });
    await journals.own.close();
  });
});

describe('the usage writer', () => {
  it('brings records into the database soon, and in batches', async () => {
    const batches: string[][] = [];
    const ends = await open();
    for (let index = 0; index < 4800; index += 1) ends.journal.append(record(String(index)));
    const insert = (records: readonly UsageRecord[]) => {
      batches.push(records.map((found) => found.request_id));
      return Promise.resolve();
    };
    const writer = startWriter(ends, insert);
    await vi.waitFor(() => expect(batches.flat()).toHaveLength(4800), 2000);
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(2000);
    ends.journal.append(record('later'));
    await vi.waitFor(() => expect(batches.flat()).toHaveLength(4801), 1000);
    await writer.close();
    expect(new Set(batches.flat()).size).toBe(4801);
  });

  it('gives lines on as they are, and parses where they have to be mended', async () => {
    const given: string[] = [];
    const written: string[] = [];
    const ends = await open();
    const writer = new UsageWriter({
      readers: [ends.reader],
      insertJson: (json) => {
        given.push(json.toString());
        return Promise.resolve(!json.includes('mend'));
      },
      insert: (records) => {
        written.push(...records.map((found) => found.request_id));
        return Promise.resolve();
      },
      logger,
    });
    ends.journal.append(record('good'));
    ends.journal.append(record('fine'));
    writer.wake();
    await vi.waitFor(() => expect(given).toHaveLength(1), 1000);
    expect(JSON.parse(given[0] ?? '')).toEqual([record('good'), record('fine')]);
    ends.journal.append(record('mend'));
    writer.wake();
    await vi.waitFor(() => expect(written).toEqual(['mend']), 1000);
    await ends.journal.close();
    await writer.close();
    expect(given).toHaveLength(2);
  });

  it('writes all files of a journal one after the other, though nothing more is appended', async () => {
    const written: string[] = [];
    const ends = await open(3 * lineBytes);
    await appendAll(ends, names(20));
    const writer = startWriter(ends, (records) => {
      written.push(...records.map((found) => found.request_id));
      return Promise.resolve();
    });
    await vi.waitFor(() => expect(written).toEqual(names(20)), 1000);
    await writer.close();
  });

  it('waits while there is no database and then writes all, each once', async () => {
    const written: string[] = [];
    let isAway = true;
    const insert = (records: readonly UsageRecord[]) => {
      if (isAway) return Promise.reject(new Error('no database'));
      written.push(...records.map((found) => found.request_id));
      return Promise.resolve();
    };
    const ends = await open();
    const writer = startWriter(ends, insert);
    await appendAll(ends, names(5));
    await vi.waitFor(() => expect(logged.length).toBe(1), 1000);
    isAway = false;
    await vi.waitFor(() => expect(written).toEqual(names(5)), 3000);
    await writer.close();
  });

  it('misses nothing that comes while it writes', async () => {
    const written: string[] = [];
    const ends = await open();
    const insert = async (records: readonly UsageRecord[]) => {
      if (written.length < 20) ends.journal.append(record(`during-${written.length}`));
      written.push(...records.map((found) => found.request_id));
      await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const writer = startWriter(ends, insert);
    ends.journal.append(record('first'));
    await vi.waitFor(() => expect(written).toHaveLength(21), 8000);
    await writer.close();
  });

  it('writes the last records before it ends', async () => {
    const written: string[] = [];
    const ends = await open();
    const insert = (records: readonly UsageRecord[]) => {
      written.push(...records.map((found) => found.request_id));
      return Promise.resolve();
    };
    const writer = startWriter(ends, insert);
    for (const name of names(9)) ends.journal.append(record(name));
    await writer.close();
    expect(written).toEqual(names(9));
  });

  it('ends without a database, and the next one finds the records', async () => {
    const ends = await open();
    const lost = startWriter(ends, () => Promise.reject(new Error('no database')));
    for (const name of names(9)) ends.journal.append(record(name));
    await lost.close();
    const again = await open();
    expect(await drain(again)).toEqual(names(9));
    await again.journal.close();
  });

  it('writes a batch again whose insertion was not told to the journal', async () => {
    const database = new Map<string, number>();
    const insert = (records: readonly UsageRecord[]) => {
      for (const { request_id: id } of records) database.set(id, (database.get(id) ?? 0) + 1);
      return database.size < 5 ? Promise.resolve() : Promise.reject(new Error('killed after the insert'));
    };
    const first = await open();
    await appendAll(first, names(5));
    // Closed before its first timer, so that each writer writes once.
    const writeOnce = async ({ journal, reader }: Ends, write: typeof insert) => {
      await journal.close();
      await new UsageWriter({ readers: [reader], insert: write, logger }).close();
    };
    await writeOnce(first, insert);
    await writeOnce(await open(), (records) => insert(records).catch(() => undefined));
    expect([...database.keys()]).toEqual(names(5));
    expect(new Set(database.values())).toEqual(new Set([2]));
    const third = await open();
    expect(await third.reader.read(10)).toBeNull();
    await third.journal.close();
  });
});
