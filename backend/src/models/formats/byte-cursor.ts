import { type ByteSource, ModelFileError } from './byte-source.ts';

const windowBytes = 256 * 1024;

/** Reads little-endian values in order through one window of fixed size. What is skipped is never read. */
export class ByteCursor {
  readonly #source: ByteSource;
  readonly #window = Buffer.alloc(windowBytes);
  readonly #furthest: number;
  /** Where the window stands in the file, how much of it is filled, and where in it we are. */
  #windowAt = 0;
  #filled = 0;
  #at = 0;

  /** @param furthest an offset that is never passed, whatever the file claims */
  constructor(source: ByteSource, furthest: number) {
    this.#source = source;
    this.#furthest = furthest;
  }

  get position(): number {
    return this.#windowAt + this.#at;
  }

  /** Bytes of the file behind this place. */
  get remaining(): number {
    return this.#source.sizeBytes - this.position;
  }

  /** Whether the next bytes are in the window; else `fetch` brings them. Asked first, since waiting costs a turn of the loop. */
  holds(lengthBytes: number): boolean {
    return this.#at + lengthBytes <= this.#filled;
  }

  /** Brings the next bytes into the window. @throws ModelFileError where the file has no more */
  async fetch(lengthBytes: number): Promise<void> {
    if (lengthBytes > this.remaining) throw cutShort(lengthBytes - this.remaining);
    this.#windowAt = this.position;
    this.#at = 0;
    this.#filled = 0;
    while (this.#filled < lengthBytes) {
      const got = await this.#source.read(this.#window.subarray(this.#filled), this.#windowAt + this.#filled);
      if (got === 0) throw new ModelFileError('it became shorter while it was read');
      this.#filled += got;
    }
  }

  u8(): number {
    return this.#window.readUInt8(this.#move(1));
  }

  u32(): number {
    return this.#window.readUInt32LE(this.#move(4));
  }

  /** A length or an offset. @throws ModelFileError where no file could have it */
  u64(): number {
    const low = this.#window.readUInt32LE(this.#at);
    const high = this.#window.readUInt32LE(this.#at + 4);
    this.#move(8);
    if (high >= 0x20_0000) throw new ModelFileError('it claims an impossible size');
    return high * 0x1_0000_0000 + low;
  }

  /** The next bytes, which the window holds; valid until the next fetch. */
  bytes(lengthBytes: number): Buffer {
    const start = this.#move(lengthBytes);
    return this.#window.subarray(start, start + lengthBytes);
  }

  /** Text of any length that a window can't hold is refused by whoever asks; the window holds this one. */
  text(lengthBytes: number): string {
    return this.bytes(lengthBytes).toString('utf8');
  }

  /** Passes over bytes without reading them. @throws ModelFileError where the file ends before, or the bound is passed */
  skip(lengthBytes: number): void {
    if (lengthBytes > this.remaining) throw cutShort(lengthBytes - this.remaining);
    if (this.position + lengthBytes > this.#furthest) throw tooMuch(this.#furthest);
    this.#at += lengthBytes;
  }

  #move(lengthBytes: number): number {
    const start = this.#at;
    this.#at += lengthBytes;
    if (this.position > this.#furthest) throw tooMuch(this.#furthest);
    return start;
  }
}

const cutShort = (bytes: number) =>
  new ModelFileError(`it is cut short, at least ${bytes.toLocaleString('en')} bytes missing`);

const tooMuch = (furthest: number) =>
  new ModelFileError(`its head is longer than ${furthest / 1024 ** 2} MiB, which no model needs`);
