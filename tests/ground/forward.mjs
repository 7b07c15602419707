// Run inside a network namespace: carries a unix socket's connections to a TCP port in there. It stands for the operator's
// browser on the inside network, and lets the test look in without giving the namespace a way out.
import { connect, createServer } from 'node:net';

const [socketPath, port] = process.argv.slice(2);
createServer((client) => {
  const server = connect(Number(port), '127.0.0.1');
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}).listen(socketPath, () => console.log('ready'));
