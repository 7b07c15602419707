import { describe, expect, it } from 'vitest';
import { newEndpoint } from './routing.ts';

describe("an endpoint's address", () => {
  it.each([
    ['not an address', 'a URL such as http://10.0.0.5:8000'],
    ['ftp://10.0.0.5', 'a URL such as http://10.0.0.5:8000'],
    ['http://user:secret@10.0.0.5', 'a URL without a user, a query or a fragment'],
    ['http://10.0.0.5/?key=secret', 'a URL without a user, a query or a fragment'],
  ])('is refused in words: %s', (url, message) => {
    const { error } = newEndpoint.safeParse({ name: 'gpu', served_name: 'llama', url });
    expect(error?.issues).toMatchObject([{ path: ['url'], message }]);
  });
});
