import { describe, expect, it } from 'vitest';
import { checkOrigin } from './access.ts';
import { readCookie } from './session-cookie.ts';

describe('a request that changes something', () => {
  const from = (headers: Record<string, string>) => () =>
    checkOrigin('POST', { host: 'cortex.local:3001', ...headers });

  it.each([
    [{ 'sec-fetch-site': 'same-origin', origin: 'http://cortex.local:3001' }],
    [{ origin: 'https://cortex.local:3001' }],
    [{}],
  ])('is let through with %j', (headers) => {
    expect(from(headers)).not.toThrow();
  });

  it.each([
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ origin: 'http://evil.test' }],
    [{ origin: 'http://cortex.local:8080' }],
    [{ origin: 'null' }],
    [{ origin: 'http://cortex.local:3001.evil.test' }],
  ])('is refused with %j', (headers) => {
    expect(from(headers)).toThrow(expect.objectContaining({ code: 'cross_origin' }));
  });

  it('is not one that only reads', () => {
    expect(() => checkOrigin('GET', { host: 'a', 'sec-fetch-site': 'cross-site' })).not.toThrow();
  });
});

describe('a cookie', () => {
  it('is found among others, by its whole name', () => {
    expect(readCookie('xcortex_session=1; cortex_session=abc=; other=2', 'cortex_session')).toBe('abc=');
    expect(readCookie('xcortex_session=1', 'cortex_session')).toBeNull();
    expect(readCookie(undefined, 'cortex_session')).toBeNull();
  });
});
