import { expect, it } from 'vitest';
import { listen } from './listeners.ts';

const host = '127.0.0.1';

it('a listener answers, and frees its port when it closes, also under an answer that does not end', async () => {
  const listener = await listen((_request, response) => void response.write('…'), host, 0, 'GATEWAY_PORT');
  const answer = await fetch(`http://${host}:${listener.port}/`);
  await listener.close(50);
  await expect(answer.text()).rejects.toThrow();
  const again = await listen((_request, response) => void response.end('again'), host, listener.port, 'GATEWAY_PORT');
  expect(await (await fetch(`http://${host}:${again.port}/`)).text()).toBe('again');
  await again.close(50);
});

it('a port that is taken is named with its setting', async () => {
  const first = await listen((_request, response) => void response.end(), host, 0, 'GATEWAY_PORT');
  const second = listen((_request, response) => void response.end(), host, first.port, 'FRONTEND_PORT');
  await expect(second).rejects.toMatchObject({ code: 'port_in_use', hint: expect.stringContaining('FRONTEND_PORT') });
  await first.close(50);
});

it('an address that this machine does not have is named', async () => {
  const listener = listen((_request, response) => void response.end(), '192.0.2.1', 0, 'GATEWAY_PORT');
  await expect(listener).rejects.toMatchObject({
    code: 'setting_invalid',
    message: expect.stringContaining('192.0.2.1'),
  });
});
