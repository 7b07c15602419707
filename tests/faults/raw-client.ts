import { connect, type Socket } from 'node:net';
import type { ServedCortex } from './served-cortex.ts';

/** A client that can stop in the middle of anything: what it has read is its own affair. */
export class RawClient {
  readonly socket: Socket;
  text = '';

  /** @param reads false: takes nothing until the test reads from the socket itself */
  constructor(cortex: ServedCortex, reads = true) {
    this.socket = connect({ port: Number(new URL(cortex.api).port), host: '127.0.0.1' });
    this.socket.on('error', () => undefined);
    if (reads)
      this.socket.on('data', (bytes: Buffer) => {
        this.text += bytes.toString('utf8');
      });
  }

  /** @param part how many bytes of the body are sent of those that are announced */
  ask(cortex: ServedCortex, content: string, part = Number.POSITIVE_INFINITY): void {
    const body = JSON.stringify({ model: 'steady', stream: true, messages: [{ role: 'user', content }] });
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: cortex\r\nauthorization: Bearer ${cortex.token}\r\n`;
    this.socket.write(`${head}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`);
    this.socket.write(body.slice(0, part));
  }

  leave(): void {
    this.socket.destroy();
  }
}
