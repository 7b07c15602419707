import { describe, expect, it } from 'vitest';
import { clientAddress, Networks } from './networks.ts';

describe('an address is in a network', () => {
  it.each([
    ['192.0.2.7', ['192.0.2.7'], true],
    ['192.0.2.8', ['192.0.2.7'], false],
    ['10.255.255.255', ['10.0.0.0/8'], true],
    ['11.0.0.0', ['10.0.0.0/8'], false],
    ['10.1.2.3', ['0.0.0.0/0'], true],
    ['10.1.2.3', ['10.1.2.3/32'], true],
    ['2001:db8::1', ['2001:db8::/32'], true],
    ['2001:DB8:0:0::1', ['2001:db8::1'], true],
    ['2001:db9::1', ['2001:db8::/32'], false],
    ['fe80::1%eth0', ['fe80::/10'], true],
    // The same host, in the words of a listener on ::
    ['::ffff:10.1.2.3', ['10.0.0.0/8'], true],
    ['::ffff:a01:203', ['10.0.0.0/8'], true],
    ['10.1.2.3', ['::ffff:10.0.0.0/104'], true],
    ['192.0.2.7', ['10.0.0.0/8', '2001:db8::/32', '192.0.2.0/24'], true],
    ['192.0.2.7', [], false],
    ['', ['0.0.0.0/0', '::/0'], false],
    ['unknown', ['0.0.0.0/0', '::/0'], false],
    ['10.1.2.3:80', ['0.0.0.0/0'], false],
    ['010.1.2.3', ['0.0.0.0/0'], false],
  ])('%s in %j: %s', (address, networks, isIn) => {
    expect(new Networks(networks).has(address)).toBe(isIn);
  });
});

describe("a client's address", () => {
  const proxies = ['10.0.0.0/8', '2001:db8::/32'];
  const from = (peer: string, forwarded?: string, trusted: readonly string[] = proxies) => {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    return clientAddress({ headers, remoteAddress: peer }, trusted);
  };

  it.each<[string, string, string]>([
    ['192.0.2.7', '10.9.9.9', '192.0.2.7'],
    ['10.0.0.1', '192.0.2.7', '192.0.2.7'],
    ['10.0.0.1', '192.0.2.7, 10.0.0.2, 10.0.0.3', '192.0.2.7'],
    ['2001:db8::5', '192.0.2.7', '192.0.2.7'],
    ['::ffff:10.0.0.1', '192.0.2.7', '192.0.2.7'],
    ['10.0.0.1', '::ffff:192.0.2.7', '192.0.2.7'],
    ['10.0.0.1', '192.0.2.7:51234', '192.0.2.7'],
    ['10.0.0.1', '[2001:db9::7]:443', '2001:db9::7'],
    ['10.0.0.1', '[2001:db9::7]', '2001:db9::7'],
    // Forged: what the client wrote stands before what the proxy added.
    ['10.0.0.1', '127.0.0.1, 10.0.0.9, 203.0.113.5', '203.0.113.5'],
    ['10.0.0.1', '203.0.113.5, 192.0.2.7, 10.0.0.2', '192.0.2.7'],
    // All of them are proxies: the first one is the client.
    ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['10.0.0.1', '', '10.0.0.1'],
  ])('of a connection from %s with X-Forwarded-For: %s is %s', (peer, forwarded, address) => {
    expect(from(peer, forwarded)).toBe(address);
  });

  it.each(['unknown', '203.0.113.5, nonsense', '203.0.113.5, ,', '192.0.2.7\t10.0.0.1', '1'.repeat(10_000)])(
    'that is none (%.20s) is nobody, whatever was forged before it',
    (forwarded) => {
      expect(new Networks(['0.0.0.0/0', '::/0']).has(from('10.0.0.1', forwarded))).toBe(false);
    },
  );

  it('is that of the connection where no proxy is trusted, whatever headers say', () => {
    expect(from('10.0.0.1', '192.0.2.7', [])).toBe('10.0.0.1');
    expect(from('', '192.0.2.7')).toBe('');
    expect(from('10.0.0.1')).toBe('10.0.0.1');
  });
});
