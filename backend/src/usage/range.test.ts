import { describe, expect, it } from 'vitest';
import { bucketRange } from './range.ts';

const now = Date.parse('2026-06-15T12:34:56Z');
const ask = (query: Parameters<typeof bucketRange>[0]) => {
  const { from, to, bucket } = bucketRange(query, 400, now);
  return [from.toISOString(), to.toISOString(), bucket];
};

describe('the range of a question', () => {
  it('is the last day where none is named, as whole hours', () => {
    expect(ask({})).toEqual(['2026-06-14T12:00:00.000Z', '2026-06-15T13:00:00.000Z', 'hour']);
  });

  it('goes by days where it is long, as whole days of UTC', () => {
    const asked = ask({ from: '2026-05-01T01:00:00+02:00', to: '2026-06-01T00:00:00Z' });
    expect(asked).toEqual(['2026-04-30T00:00:00.000Z', '2026-06-01T00:00:00.000Z', 'day']);
  });

  it('may be 31 days of hours up to any moment', () => {
    expect(ask({ from: '2026-05-15T12:34:56Z', bucket: 'hour' })[0]).toBe('2026-05-15T12:00:00.000Z');
  });

  it.each([
    [{ from: '2026-05-15T11:34:56Z', bucket: 'hour' }, 'a range by hour may be 31 days long'],
    [{ from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' }, 'must be before to'],
    [{ from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z' }, 'must be before to'],
    [{ from: '2027-01-01T00:00:00Z' }, 'must be before now'],
    [{ from: '2026-01-01T00:00:00Z', bucket: 'hour' }, 'ask for bucket=day'],
    [{ from: '1990-01-01T00:00:00Z', bucket: 'day' }, '4000 days'],
    [{ from: '2025-01-01T00:00:00Z', to: '2025-01-02T00:00:00Z', bucket: 'hour' }, 'hours are kept for 400 days'],
  ] as const)('refuses %j', (query, words) => {
    expect(() => ask(query)).toThrow(
      expect.objectContaining({ code: 'invalid_request', param: 'from', message: expect.stringContaining(words) }),
    );
  });
});
