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

const comma = 0x2c;

export interface JsonOutline {
  /** How deep the brackets are nested. */
  readonly depth: number;
  /** How many members the outermost object or array has, each of two with the same name among them. */
  readonly members: number;
}

/** The outline of a JSON text, which need not be valid; stops counting where it is nested deeper than `limit`. */
export function outlineOf(json: string, limit: number): JsonOutline {
  let level = 0;
  let depth = 0;
  let commas = 0;
  let hasContent = false;
  for (let at = 0; at < json.length && depth <= limit; at += 1) {
    const char = json.charCodeAt(at);
    if (char === quote) {
      if (level === 1) hasContent = true;
      // Strings are most of a body: the native search skips them.
      do at = json.indexOf('"', at + 1);
      while (at !== -1 && isEscaped(json, at));
      if (at === -1) break;
    } else if (char === 0x7b || char === 0x5b) {
      if (level === 1) hasContent = true;
      level += 1;
      if (level > depth) depth = level;
    } else if (char === 0x7d || char === 0x5d) level -= 1;
    else if (level === 1) {
      if (char === comma) commas += 1;
      else if (!isSpace(char)) hasContent = true;
    }
  }
  return { depth, members: hasContent ? commas + 1 : 0 };
}

function isEscaped(json: string, at: number): boolean {
  let slashes = 0;
  while (json.charCodeAt(at - 1 - slashes) === backslash) slashes += 1;
  return slashes % 2 === 1;
}
