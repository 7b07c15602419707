import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { oneWriteBytes } from '../../http/one-write.ts';
import { AnswerParser } from './answer-parser.ts';

/** Where an engine listens. */
export interface Origin {
  readonly host: string;
  readonly port: number;
  /** Null: plain text. `ca` is a PEM text that replaces the machine's own authorities. */
  readonly tls: { readonly ca: string | null } | null;
}

/** Who hears of an answer. After `onEnd` or `onFail` nothing more comes. */
export interface AnswerSink {
  onHead(status: number, headers: ReadonlyMap<string, string>): void;
  /** The bytes are only lent: the next read overwrites them. Gives false where no more is wanted until `resume`. */
  onData(bytes: Buffer): boolean;
  onEnd(): void;
  /** @param begun the engine may have read the request: it must not be sent again */
  onFail(error: Error, begun: boolean): void;
}

/** An answer under way, as the sink that hears of it handles it. With another's, which the connection may carry by now, nothing is done. */
export interface EngineCall {
  /** Ends the engine's work by closing, its sign that the answer is not wanted any more; the sink hears nothing more. */
  abort(sink: AnswerSink): void;
  resume(sink: AnswerSink): void;
}

export interface ConnectionOwner {
  /** Free for the next request. */
  onIdle(connection: Connection): void;
  onClosed(connection: Connection): void;
}

const connectTimeoutMs = 5_000;
/** After so long without a sign the system probes ten times, once a second. */
const keepAliveDelayMs = 10_000;

/** One connection to an engine; carries one request at a time. */
export class Connection implements EngineCall {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #parser: AnswerParser;
  #sink: AnswerSink | null = null;
  #connected = false;
  #closed = false;
  #idleLimitMs: number;
  #idleSinceMs = 0;

  constructor(origin: Origin, owner: ConnectionOwner, idleLimitMs: number) {
    this.#owner = owner;
    this.#idleLimitMs = idleLimitMs;
    this.#parser = new AnswerParser({
      onHead: (status, headers) => {
        this.#heed(headers.get('keep-alive'));
        this.#sink?.onHead(status, headers);
      },
      onData: (bytes) => {
        if (this.#sink?.onData(bytes) === false) this.#socket.pause();
      },
      onEnd: (reusable) => this.#ended(reusable),
    });
    this.#socket = open(origin, (bytes) => this.#take(bytes));
    // What keeps the process is the listener that the request came by.
    this.#socket.unref();
    this.#socket.setNoDelay(true);
    // A machine that vanished says nothing; the system asks for it while an answer is awaited.
    this.#socket.setKeepAlive(true, keepAliveDelayMs);
    const timer = setTimeout(() => this.#fail(new Error('no connection in time')), connectTimeoutMs);
    this.#socket.once(origin.tls === null ? 'connect' : 'secureConnect', () => {
      clearTimeout(timer);
      this.#connected = true;
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('end', () => this.#peerClosed());
    this.#socket.on('close', () => {
      clearTimeout(timer);
      this.#fail(new Error('the connection was closed'));
    });
  }

  /** Sends a request; `head` ends with the blank line. */
  send(head: string, body: Buffer | string, sink: AnswerSink): void {
    this.#sink = sink;
    this.#parser.reset();
    if (typeof body === 'string' || body.length <= oneWriteBytes) {
      this.#socket.write(head + (typeof body === 'string' ? body : body.toString('latin1')), 'latin1');
      return;
    }
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    this.#socket.write(body);
    this.#socket.uncork();
  }

  resume(sink: AnswerSink): void {
    if (this.#sink === sink) this.#socket.resume();
  }

  abort(sink: AnswerSink): void {
    if (this.#sink === sink) this.destroy();
  }

  /** The engine closes idle connections as well; to be first is to never send into a closed one. */
  isStale(nowMs: number): boolean {
    return nowMs - this.#idleSinceMs >= this.#idleLimitMs;
  }

  /** Closes at once. */
  destroy(): void {
    this.#sink = null;
    this.#shut();
  }

  #take(bytes: Buffer): void {
    try {
      this.#parser.take(bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #peerClosed(): void {
    try {
      this.#parser.close();
      this.#shut();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #ended(reusable: boolean): void {
    const sink = this.#sink;
    this.#sink = null;
    if (reusable && !this.#closed && !this.#socket.readableEnded) {
      if (this.#socket.isPaused()) this.#socket.resume();
      this.#idleSinceMs = Date.now();
      this.#owner.onIdle(this);
    } else this.#shut();
    sink?.onEnd();
  }

  #heed(keepAlive: string | undefined): void {
    if (keepAlive === undefined) return;
    const seconds = /timeout=(\d{1,6})/.exec(keepAlive)?.[1];
    if (seconds !== undefined)
      this.#idleLimitMs = Math.max(0, Math.min(this.#idleLimitMs, Number(seconds) * 1000 - 500));
  }

  #fail(error: Error): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#shut();
    sink?.onFail(error, this.#connected);
  }

  #shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#owner.onClosed(this);
  }
}

/**
 * All plain connections read into this one, as what is read is used before the next read: Node would make a buffer of 64 KiB
 * for every event of a stream.
 */
const lent = Buffer.allocUnsafeSlow(64 * 1024);

function open({ host, port, tls }: Origin, take: (bytes: Buffer) => void): Socket {
  if (tls === null) {
    const callback = (sizeBytes: number) => {
      take(lent.subarray(0, sizeBytes));
      return true;
    };
    return connectPlain({ host, port, onread: { buffer: lent, callback } });
  }
  return connectTls({
    host,
    port,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(tls.ca === null ? {} : { ca: tls.ca }),
  }).on('data', take);
}
