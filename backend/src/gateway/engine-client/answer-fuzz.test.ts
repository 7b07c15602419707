import { request } from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AnswerParser } from './answer-parser.ts';

interface Reading {
  readonly status: number;
  readonly body: string;
}

/** All whole answers in these pieces, and whether the parser then gave up. */
function readPieces(pieces: readonly Buffer[]): { answers: Reading[]; failed: boolean } {
  const answers: Reading[] = [];
  let status = 0;
  let body = '';
  const parser = new AnswerParser({
    onHead: (told) => {
      status = told;
      body = '';
    },
    onData: (bytes) => {
      body += bytes.toString('latin1');
    },
    onEnd: () => answers.push({ status, body }),
  });
  try {
    for (const piece of pieces) parser.take(piece);
    parser.close();
    return { answers, failed: false };
  } catch {
    return { answers, failed: true };
  }
}

/** What node's own client makes of the same bytes; null where it refuses them or finds them incomplete. */
function readAsNode(bytes: Buffer): Promise<Reading | null> {
  return new Promise((resolve) => {
    const socket = new Duplex({ read: () => undefined, write: (_bytes, _encoding, done) => done() });
    const asked = request({ createConnection: () => socket, path: '/' });
    const refused = () => {
      socket.destroy();
      resolve(null);
    };
    asked.on('error', refused).on('upgrade', refused).on('close', refused);
    asked.on('response', (answer) => {
      let body = '';
      answer.setEncoding('latin1').on('data', (part: string) => {
        body += part;
      });
      answer.on('error', refused);
      answer.on('end', () => resolve(answer.complete ? { status: answer.statusCode ?? 0, body } : null));
    });
    asked.on('socket', () => {
      socket.push(bytes);
      socket.push(null);
    });
    asked.end();
  });
}

const header = fc.constantFrom(
  'Content-Length: 5',
  'Content-Length: 5',
  'content-length:\t11 ',
  'Content-Length: 0',
  'Content-Length: 05',
  'Content-Length: 5, 5',
  'Transfer-Encoding: chunked',
  'transfer-encoding: CHUNKED',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Connection: close',
  'Connection: keep-alive',
  'Keep-Alive: timeout=5',
  'X-A: b',
  'X-A: \xe9\xff',
  'X-A:',
  'X-A: b\r\n c',
  'X-A: b\nContent-Length: 5',
);
const statusLine = fc.constantFrom(
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 404',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 204 No Content',
  'HTTP/1.1 304 Not Modified',
  'HTTP/1.1 503 \xe9',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK',
  'HTTP/1.1 099 No',
);
const chunk = fc.constantFrom(
  '5\r\nhello\r\n',
  '1;a=b\r\nx\r\n',
  'A\r\n0\r\n\r\nHTTP/\r\n',
  '00b ; c="d"\r\nhello world\r\n',
);
const chunked = fc
  .tuple(fc.array(chunk, { maxLength: 4 }), fc.constantFrom('', 'X-Sum: 1\r\n', 'nonsense\r\n'))
  .map(([parts, trailers]) => `${parts.join('')}0\r\n${trailers}\r\n`);
const body = fc.oneof(
  fc.constantFrom('hello', 'hello world', '', 'hello world, and more'),
  { weight: 2, arbitrary: chunked },
  fc.string({ maxLength: 20 }),
);
const plain = fc.constantFrom('X-A: b', 'Connection: close', 'Keep-Alive: timeout=5', 'X-A: \xe9\xff', 'X-A:');
/** Headers that fit the body, so that most cases have an answer to compare. */
const framed = fc.oneof(
  fc.string({ maxLength: 20 }).map((content) => {
    const bytes = Buffer.from(content).toString('latin1');
    return { headers: [`Content-Length: ${bytes.length}`], content: bytes };
  }),
  chunked.map((content) => ({ headers: ['Transfer-Encoding: chunked'], content })),
  fc.constant({ headers: [], content: 'until the end' }),
);
const wild = fc.record({ headers: fc.array(header, { maxLength: 4 }), content: body });
const whole = fc
  .tuple(statusLine, fc.array(plain, { maxLength: 3 }), fc.oneof({ weight: 2, arbitrary: framed }, wild))
  .map(([line, more, { headers, content }]) => `${[line, ...more, ...headers].join('\r\n')}\r\n\r\n${content}`);
/** A byte that is changed, put in or left out, at a place told as a share of the whole. */
const damage = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  kind: fc.constantFrom('change', 'insert', 'remove'),
  byte: fc.oneof(
    fc.constantFrom('\r', '\n', '\0', ' ', ':', ';', '0', 'f', '\r\n', '\xa0'),
    fc.string({ minLength: 1, maxLength: 1 }),
  ),
});
const damaged = fc
  .tuple(whole, fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(damage, { maxLength: 3 })))
  .map(([text, places]) => {
    let bytes = text;
    for (const { at, kind, byte } of places) {
      const place = Math.floor(at * bytes.length);
      bytes =
        bytes.slice(0, place) + (kind === 'remove' ? '' : byte) + bytes.slice(place + (kind === 'insert' ? 0 : 1));
    }
    return Buffer.from(bytes, 'latin1');
  });
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });

function cut(bytes: Buffer, shares: readonly number[]): Buffer[] {
  const places = [...shares.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b), bytes.length];
  return places.map((end, at) => bytes.subarray(at === 0 ? 0 : places[at - 1], end));
}

// fast-check prints the seed and the smallest failing case; the seed is fixed so that a red run is red again.
const seed = 20_261_123;

it('whatever an engine sends, the parser neither crashes nor depends on the pieces, and never differs from node', async () => {
  let agreed = 0;
  await fc.assert(
    fc.asyncProperty(damaged, cuts, async (bytes, shares) => {
      const ours = readPieces([bytes]);
      expect(readPieces(cut(bytes, shares))).toEqual(ours);
      expect(ours.answers.length).toBeLessThanOrEqual(1);
      const nodes = await readAsNode(bytes);
      const [answer] = ours.answers;
      if (nodes === null || answer === undefined) return;
      expect(answer).toEqual(nodes);
      agreed += 1;
    }),
    { seed, numRuns: 6000 },
  );
  expect(agreed).toBeGreaterThan(500);
});

it('what holds no answer at all is refused, whatever bytes it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), cuts, (bytes, shares) => {
      fc.pre(Buffer.from(bytes).toString('latin1', 0, 5) !== 'HTTP/');
      expect(readPieces(cut(Buffer.from(bytes), shares))).toEqual({ answers: [], failed: true });
    }),
    { seed, numRuns: 2000 },
  );
});
