import { ModelFileError } from './byte-source.ts';

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const mostDimensions = 32;
const longestName = 1024;
/** Texts of the free part; converters write little more than `format: pt`. */
const longestNote = 16 * 1024 * 1024;

/**
 * Reads a header's JSON, one tensor at a time. Stricter than JSON.parse, which takes the same tensor twice and whatever
 * else stands in it; and a header of 100 MB does not become one object.
 * @throws ModelFileError
 */
export function* headerEntries(bytes: Buffer): Generator<SafetensorsEntry, void> {
  const json = new HeaderText(bytes);
  const seen = new Set<string>();
  json.expect('{');
  if (!json.takes('}')) {
    do {
      const name = json.string(longestName);
      if (seen.has(name)) throw new ModelFileError(`its header has ${JSON.stringify(name)} twice`);
      seen.add(name);
      json.expect(':');
      if (name === '__metadata__') notes(json);
      else yield entry(json, name);
    } while (json.takes(','));
    json.expect('}');
  }
  json.end();
}

function notes(json: HeaderText): void {
  json.expect('{');
  if (json.takes('}')) return;
  do {
    json.string(longestName);
    json.expect(':');
    json.string(longestNote);
  } while (json.takes(','));
  json.expect('}');
}

function entry(json: HeaderText, name: string): SafetensorsEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  json.expect('{');
  do {
    const field = json.string(longestName);
    json.expect(':');
    if (field === 'dtype' && dtype === undefined) dtype = json.string(longestName);
    else if (field === 'shape' && shape === undefined) shape = json.numbers(mostDimensions);
    else if (field === 'data_offsets' && offsets === undefined) offsets = json.numbers(2);
    else throw new ModelFileError(`its tensor ${JSON.stringify(name)} has ${JSON.stringify(field)}, unknown or twice`);
  } while (json.takes(','));
  json.expect('}');
  const [begin, end] = offsets ?? [];
  if (dtype === undefined || shape === undefined || begin === undefined || end === undefined)
    throw new ModelFileError(`its tensor ${JSON.stringify(name)} lacks its dtype, shape or data_offsets`);
  return { name, dtype, shape, begin, end };
}

const quote = 0x22;
const backslash = 0x5c;
const isBlank = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isDigit = (byte: number | undefined) => byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** A place in the text of a header. */
class HeaderText {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  expect(sign: string): void {
    if (!this.takes(sign)) throw this.#fault(`'${sign}' was expected`);
  }

  takes(sign: string): boolean {
    this.#blank();
    if (this.#bytes[this.#at] !== sign.charCodeAt(0)) return false;
    this.#at += 1;
    return true;
  }

  end(): void {
    this.#blank();
    if (this.#at !== this.#bytes.length) throw this.#fault('nothing more was expected');
  }

  string(longest: number): string {
    this.expect('"');
    const start = this.#at;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw this.#fault('a text does not end');
      if (byte === quote) break;
      this.#at += byte === backslash ? 2 : 1;
      if (this.#at - start > longest) throw this.#fault('a text is too long');
    }
    const text = this.#bytes.toString('utf8', start - 1, this.#at + 1);
    this.#at += 1;
    // Escapes and control characters are JSON's own matter; the piece is short.
    try {
      return String(JSON.parse(text));
    } catch {
      throw this.#fault('a text is not JSON');
    }
  }

  numbers(most: number): number[] {
    const found: number[] = [];
    this.expect('[');
    if (this.takes(']')) return found;
    do {
      if (found.length === most) throw this.#fault('a list is too long');
      found.push(this.#number());
    } while (this.takes(','));
    this.expect(']');
    return found;
  }

  #number(): number {
    this.#blank();
    const start = this.#at;
    while (isDigit(this.#bytes[this.#at]) && this.#at - start < 17) this.#at += 1;
    const digits = this.#bytes.toString('latin1', start, this.#at);
    const value = Number(digits);
    if (digits === '' || (digits.startsWith('0') && digits !== '0') || !Number.isSafeInteger(value))
      throw this.#fault('a whole number was expected');
    return value;
  }

  #blank(): void {
    while (isBlank(this.#bytes[this.#at])) this.#at += 1;
  }

  #fault(what: string): ModelFileError {
    return new ModelFileError(`its header is not valid at byte ${this.#at + 8}: ${what}`);
  }
}
