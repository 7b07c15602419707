import { connect, type Socket } from 'node:net';
import { type MessageHandler, MessageReader } from './message-reader.ts';

export interface LaneOptions {
  readonly port: number;
  readonly answer: MessageHandler;
  /** Told of a connection that broke, and of bytes that nobody asked for. */
  readonly failed: (reason: string) => void;
}

/** One keep-alive connection of the load. */
export class Lane {
  readonly #socket: Socket;
  readonly #failed: (reason: string) => void;
  #waiting = false;
  #closed = false;

  constructor({ port, answer, failed }: LaneOptions) {
    this.#failed = failed;
    const reader = new MessageReader('answer', {
      head: (text) => {
        if (!this.#waiting) throw new Error('an answer that nobody asked for');
        answer.head(text);
      },
      body: (bytes) => answer.body(bytes),
      end: () => {
        this.#waiting = false;
        answer.end();
      },
    });
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes: Buffer) => {
      try {
        reader.push(bytes);
      } catch (error) {
        this.#end(String(error));
      }
    });
    this.#socket.once('error', (error) => this.#end(error.message));
    this.#socket.once('close', () => this.#end('the connection was closed'));
  }

  send(request: string | Buffer): void {
    this.#waiting = true;
    if (typeof request === 'string') this.#socket.write(request, 'latin1');
    else this.#socket.write(request);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#failed(reason);
  }
}
