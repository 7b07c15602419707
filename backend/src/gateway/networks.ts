import { BlockList, isIP, isIPv4 } from 'node:net';
import type { HttpRequest } from '../http/message.ts';

/** Addresses and CIDR blocks, ready to be asked. */
export class Networks {
  readonly #list = new BlockList();

  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      const family = isIPv4(address) ? 'ipv4' : 'ipv6';
      if (prefix === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(prefix), family);
    }
  }

  has(address: string): boolean {
    const kind = isIP(address);
    return kind !== 0 && this.#list.check(address, kind === 4 ? 'ipv4' : 'ipv6');
  }
}

const built = new WeakMap<readonly string[], Networks>();

/** The networks of a list, built once. */
export function networksOf(list: readonly string[]): Networks {
  let networks = built.get(list);
  if (networks === undefined) {
    networks = new Networks(list);
    built.set(list, networks);
  }
  return networks;
}

/** The last address that a proxy of ours did not write itself: whatever stands before it, the client may have invented. */
export function clientAddress(
  request: Pick<HttpRequest, 'headers' | 'remoteAddress'>,
  trustedProxies: readonly string[],
): string {
  let address = plain(request.remoteAddress);
  if (trustedProxies.length === 0) return address;
  const trusted = networksOf(trustedProxies);
  const hops = String(request.headers['x-forwarded-for'] ?? '').split(',');
  while (trusted.has(address)) {
    const hop = hops.pop()?.trim() ?? '';
    if (hop === '' && hops.length === 0) break;
    // Some proxies write the port as well. What is no address at all is nobody's, and no network has it.
    address = plain(hop.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1'));
  }
  return address;
}

/** A listener on :: sees IPv4 clients as ::ffff:192.0.2.1. */
const plain = (address: string): string => (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address);
