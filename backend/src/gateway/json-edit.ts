import { findValue } from './json-value.ts';

/**
 * Sets a member of the outermost object and changes no other byte of the client.
 * @param isThere whether the object has the member, as far as the caller knows: then its place is looked for
 */
export function setMember(json: Buffer, name: string, value: unknown, isThere: boolean): Buffer {
  const text = JSON.stringify(value);
  const place = isThere ? findValue(json, name) : null;
  if (place !== null)
    return Buffer.concat([json.subarray(0, place.start), Buffer.from(text), json.subarray(place.end)]);
  const start = json.indexOf('{') + 1;
  let next = start;
  while (isSpace(json[next])) next += 1;
  const isEmpty = json[next] === 0x7d;
  const member = Buffer.from(`${JSON.stringify(name)}:${text}${isEmpty ? '' : ','}`);
  return Buffer.concat([json.subarray(0, start), member, json.subarray(start)]);
}

const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

const quote = 0x22;
const backslash = 0x5c;

/** How deep the brackets of a JSON text are nested; stops counting behind `limit`. */
export function nestingOf(json: string, limit: number): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < json.length; at += 1) {
    const char = json.charCodeAt(at);
    if (char === quote) {
      // Strings are most of a body: the native search skips them.
      do at = json.indexOf('"', at + 1);
      while (at !== -1 && isEscaped(json, at));
      if (at === -1) return deepest;
    } else if (char === 0x7b || char === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
      if (deepest > limit) return deepest;
    } else if (char === 0x7d || char === 0x5d) depth -= 1;
  }
  return deepest;
}

function isEscaped(json: string, at: number): boolean {
  let slashes = 0;
  while (json.charCodeAt(at - 1 - slashes) === backslash) slashes += 1;
  return slashes % 2 === 1;
}
