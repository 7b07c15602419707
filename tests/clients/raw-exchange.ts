import { connect } from 'node:net';

/** What a server sends to these bytes until it closes, or is silent for `quietMs` after it answered. */
export function rawExchange(port: number, bytes: Uint8Array | string, quietMs = 150): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const settle = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(settle, text === '' ? 10 * quietMs : quietMs);
    };
    socket.on('error', () => undefined).on('close', settle);
    socket.on('data', (data) => {
      text += data.toString('latin1');
      wait();
    });
    socket.write(bytes);
    wait();
  });
}

/** The status codes of the answers in what a server sent, in their order. */
export const statusesIn = (text: string): number[] =>
  [...text.matchAll(/(?:^|\}|\n)HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
