const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const isOpening = (byte: number) => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number) => byte === 0x7d || byte === 0x5d;

/**
 * Where the value of a member of the outermost object stands: what parsing and writing anew would change (large numbers,
 * spaces) can so be left alone. Of several members with the name it is the last, as for JSON.parse. `json` must be valid.
 */
export function findValue(json: Buffer, name: string): { start: number; end: number } | null {
  let found: { start: number; end: number } | null = null;
  let depth = 0;
  let memberStart = 0;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at] ?? 0;
    if (byte === quote) at = endOfString(json, at);
    else if (isOpening(byte)) {
      depth += 1;
      if (depth === 1) memberStart = at + 1;
    } else if ((byte === comma && depth === 1) || (isClosing(byte) && depth === 1)) {
      found = memberValue(json, memberStart, at, name) ?? found;
      memberStart = at + 1;
      if (byte !== comma) return found;
    } else if (isClosing(byte)) depth -= 1;
  }
  return found;
}

function endOfString(json: Buffer, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== quote) at += json[at] === backslash ? 2 : 1;
  return at;
}

function memberValue(json: Buffer, start: number, end: number, name: string) {
  const keyStart = json.indexOf(quote, start);
  if (keyStart === -1 || keyStart >= end) return null;
  const keyEnd = endOfString(json, keyStart) + 1;
  if (JSON.parse(json.toString('utf8', keyStart, keyEnd)) !== name) return null;
  return { start: json.indexOf(':', keyEnd) + 1, end };
}
