import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpHandler } from './message.ts';
import { PlainConnection } from './plain-connection.ts';

const sweepMs = 5_000;

export interface PlainRequests {
  closeIdle(): void;
  closeAll(): void;
}

/**
 * Lets a handler have, past Node's HTTP parser, the requests of a server that leave no doubt. Connections begin here; one that
 * brings anything else goes to Node's server, before a byte of it was acted on, and stays there.
 */
export function takePlainRequests(
  server: Server,
  takes: (url: string) => boolean,
  handler: HttpHandler,
): PlainRequests {
  const connections = new Set<PlainConnection>();
  const toNode = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  const owner = {
    handler,
    takes,
    closing: false,
    onDoubt: (connection: PlainConnection, bytes: Buffer) => {
      const { socket } = connection;
      connections.delete(connection);
      socket.pause();
      socket.unshift(bytes);
      for (const listener of toNode) listener.call(server, socket);
      socket.resume();
    },
    onClosed: (connection: PlainConnection) => connections.delete(connection),
  };
  server.on('connection', (socket) => connections.add(new PlainConnection(socket, owner)));
  const closeIdle = (atOnce: boolean) => {
    const nowMs = Date.now();
    for (const connection of connections) connection.closeIfIdle(nowMs, atOnce);
  };
  const sweep = setInterval(() => closeIdle(false), sweepMs).unref();
  server.once('close', () => clearInterval(sweep));
  return {
    closeIdle: () => {
      owner.closing = true;
      closeIdle(true);
    },
    closeAll: () => {
      for (const { socket } of connections) socket.destroy();
    },
  };
}
