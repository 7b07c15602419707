import type { ServerResponse } from 'node:http';

import { oneWriteBytes } from './one-write.ts';

/**
 * Writes the pieces of a stream to its client. Node sends each piece of a chunked answer as four parts (length, line end, bytes,
 * line end), which was two fifths of what relaying an event costs; here a chunk is one text, and one write.
 */
export class ChunkWriter {
  readonly #response: ServerResponse;
  readonly #direct: boolean;

  /** @param direct false where others listen on what the response writes */
  constructor(response: ServerResponse, direct: boolean) {
    this.#response = response;
    this.#direct = direct;
  }

  /** False where the client does not keep up: `onDrain` tells when it does. */
  write(bytes: Buffer): boolean {
    const { socket } = this.#response;
    if (!this.#isDirect()) return this.#response.write(bytes);
    const length = `${bytes.length.toString(16)}\r\n`;
    if (bytes.length <= oneWriteBytes)
      return socket?.write(`${length}${bytes.toString('latin1')}\r\n`, 'latin1') ?? false;
    socket?.cork();
    socket?.write(length, 'latin1');
    socket?.write(bytes);
    const keepsUp = socket?.write('\r\n', 'latin1') ?? false;
    socket?.uncork();
    return keepsUp;
  }

  onDrain(act: () => void): void {
    const { socket } = this.#response;
    if (this.#isDirect() && socket !== null) socket.once('drain', act);
    else this.#response.once('drain', act);
  }

  /** HTTP/1.0 knows no chunks, and an answer whose turn on its connection has not come yet is kept by Node. */
  #isDirect(): boolean {
    const { socket, chunkedEncoding, writableLength } = this.#response;
    return this.#direct && chunkedEncoding && socket !== null && socket.writableLength === writableLength;
  }
}
