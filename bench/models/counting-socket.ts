import { connect, createServer, type Server } from 'node:net';

/** A socket before a Docker Engine that counts the requests that go through. */
export class CountingSocket {
  readonly #server: Server;
  requests = 0;

  constructor(engineSocket: string) {
    this.#server = createServer((client) => {
      const engine = connect(engineSocket);
      client.on('data', (bytes) => {
        // Requests of one connection come one after the other; a body does not begin with a method and a path.
        if (/^(?:GET|POST|PUT|DELETE|HEAD) \//.test(bytes.toString('latin1', 0, 16))) this.requests += 1;
      });
      client.pipe(engine).pipe(client);
      client.on('error', () => engine.destroy());
      engine.on('error', () => client.destroy());
    });
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve) => this.#server.listen(path, resolve));
  }

  close(): void {
    this.#server.close();
  }
}
