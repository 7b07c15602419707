import { describe, expect, it } from 'vitest';
import { AnswerParser } from './answer-parser.ts';

interface Heard {
  status: number;
  headers: Record<string, string>;
  body: string;
  reusable: boolean;
}

/** What a parser tells of these pieces, up to its error; `closed`: the peer then closes. */
function parse(pieces: readonly (string | Buffer)[], closed = false) {
  const answers: Heard[] = [];
  let open: Heard | null = null;
  const parser = new AnswerParser({
    onHead: (status, headers) => {
      open = { status, headers: Object.fromEntries(headers), body: '', reusable: false };
    },
    onData: (bytes) => {
      if (open !== null) open.body += bytes.toString('latin1');
    },
    onEnd: (reusable) => {
      if (open !== null) answers.push({ ...open, reusable });
      open = null;
    },
  });
  let error: string | null = null;
  try {
    for (const piece of pieces) {
      if (parser.isIdle) parser.reset();
      parser.take(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
    }
    if (closed) parser.close();
  } catch (caught) {
    error = caught instanceof Error ? caught.message : String(caught);
  }
  return { answers, error, open };
}

const ok = 'HTTP/1.1 200 OK\r\n';
const chunkedHead = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
const chunks = '5;a="b;c"\r\nhello\r\n1\r\n \r\n5 ; x\r\nworld\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n';

describe('however an answer is cut into pieces, it is the same answer:', () => {
  it.each<[string, string]>([
    ['with a length', `${ok}Content-Length: 11\r\nX-A: b\r\n\r\nhello world`],
    ['in chunks with extensions and trailers', chunkedHead + chunks],
    [
      'behind interim answers',
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${chunkedHead}${chunks}`,
    ],
    ['until the connection is closed', `${ok}X-A: b\r\n\r\nhello world`],
    ['without a body', 'HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n'],
  ])('%s', (_what, text) => {
    const whole = parse([text], true);
    expect(whole).toMatchObject({ error: null, answers: [{ body: text.includes(' 204 ') ? '' : 'hello world' }] });
    for (let first = 1; first < text.length; first += 1) {
      expect(parse([text.slice(0, first), text.slice(first)], true)).toEqual(whole);
    }
    expect(parse([...text], true)).toEqual(whole);
  });

  it.each<[string, string]>([
    ['with a line that is too long', `${chunkedHead}5;${'a'.repeat(2000)}\r\nhello\r\n0\r\n\r\n`],
    ['with a head that is too large', `${ok}X-A: ${'a'.repeat(64 * 1024)}\r\n\r\n`],
    ['with trailers without end', `${chunkedHead}0\r\n${`X-A: ${'a'.repeat(100)}\r\n`.repeat(1000)}\r\n`],
  ])('it is refused, %s', (_what, text) => {
    for (const size of [text.length, 1000, 7]) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.slice(at * size, (at + 1) * size),
      );
      expect(parse(pieces).error, `in pieces of ${size}`).toMatch(/too (long|large)/);
    }
  });
});

describe('where an answer ends, the next one begins:', () => {
  const next = `${ok}Content-Length: 4\r\n\r\nnext`;
  it.each<[string, string, boolean]>([
    ['a length', `${ok}Content-Length: 2\r\n\r\nhi`, true],
    ['a length of nothing', `${ok}Content-Length: 0\r\n\r\n`, true],
    ['the last chunk', `${chunkedHead}${chunks}`, true],
    ['204, whatever its headers say', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', true],
    ['304, whatever its headers say', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', true],
    ['a length twice the same', `${ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi`, true],
    ['an engine that will close', `${ok}Connection: Close\r\nContent-Length: 2\r\n\r\nhi`, false],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi', false],
    [
      'HTTP/1.0 that keeps the connection',
      'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi',
      true,
    ],
    [
      'HTTP/1.0 that says both',
      'HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 2\r\n\r\nhi',
      false,
    ],
    [
      'HTTP/1.0 in chunks, which it does not have',
      `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
      false,
    ],
  ])('%s', (_what, text, reusable) => {
    const { answers, error } = parse([text, next]);
    expect(error).toBeNull();
    expect(answers[0]?.reusable).toBe(reusable);
    expect(answers[1]).toMatchObject({ body: 'next', reusable: true });
  });

  it('bytes behind the end, which nobody asked for, are an error and no answer', () => {
    const { answers, error } = parse([`${ok}Content-Length: 2\r\n\r\nhi${next}`]);
    expect(answers).toHaveLength(1);
    expect(error).toContain('nobody had asked');
  });
});

describe('an answer with two readings is refused:', () => {
  const body = '\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  it.each<[string, string]>([
    ['a length and chunks', `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked${body}`],
    ['chunks and a length', `${ok}Transfer-Encoding: chunked\r\nContent-Length: 5${body}`],
    ['two lengths', `${ok}Content-Length: 5\r\nContent-Length: 6${body}`],
    ['a list of lengths', `${ok}Content-Length: 5, 5${body}`],
    ['a length with a sign', `${ok}Content-Length: +5${body}`],
    ['a length without digits', `${ok}Content-Length: ${body}`],
    ['a length in another space', `${ok}Content-Length: \xa05${body}`],
    ['a length beyond numbers', `${ok}Content-Length: 99999999999999999999${body}`],
    ['a coding that is not chunked', `${ok}Transfer-Encoding: gzip, chunked${body}`],
    ['chunked twice', `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked${body}`],
    ['chunked in another space', `${ok}Transfer-Encoding: \xa0chunked${body}`],
    ['a vertical tab', `${ok}Transfer-Encoding: \x0bchunked${body}`],
    ['a space before the colon', `${ok}Transfer-Encoding : chunked${body}`],
    ['a folded header', `${ok}X-A: b\r\n Transfer-Encoding: chunked${body}`],
    ['LF alone in the head', `${ok}X-A: b\nTransfer-Encoding: chunked${body}`],
    ['CR alone in the head', `${ok}X-A: b\rTransfer-Encoding: chunked${body}`],
    ['LF alone in the status line', `HTTP/1.1 200 OK\nTransfer-Encoding: chunked${body}`],
    ['NUL in a value', `${ok}X-A: b\0c\r\nContent-Length: 5${body}`],
    ['a header without a name', `${ok}: b\r\nContent-Length: 5${body}`],
    ['a header without a colon', `${ok}Nonsense\r\nContent-Length: 5${body}`],
    ['a status below 100', 'HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n'],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['a chunk size that is none', `${chunkedHead}x\r\n`],
    ['an empty chunk size', `${chunkedHead}\r\n`],
    ['a chunk size below zero', `${chunkedHead}-5\r\n`],
    ['a chunk size with 0x', `${chunkedHead}0x5\r\nhello\r\n`],
    ['a chunk size beyond numbers', `${chunkedHead}fffffffffffffffff\r\n`],
    ['a chunk longer than it says', `${chunkedHead}2\r\nhello\r\n0\r\n\r\n`],
    ['a chunk whose line ends with LF', `${chunkedHead}5\nhello\r\n0\r\n\r\n`],
    ['a chunk followed by LF', `${chunkedHead}5\r\nhello\n0\r\n\r\n`],
    ['CR in an extension', `${chunkedHead}5;a\rb\r\nhello\r\n0\r\n\r\n`],
    ['a trailer that is none', `${chunkedHead}0\r\n${ok}Content-Length: 0\r\n\r\n`],
  ])('%s', (_what, text) => {
    const { answers, error } = parse([text]);
    expect(error).not.toBeNull();
    expect(answers).toEqual([]);
    expect(parse([...text])).toMatchObject({ error, answers });
  });
});

it.each<[string, string]>([
  ['its head', ok],
  ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['its length', `${ok}Content-Length: 5\r\n\r\nhell`],
  ['a chunk', `${chunkedHead}5\r\nhell`],
  ['the last chunk', `${chunkedHead}5\r\nhello\r\n`],
  ['the blank line at the end', `${chunkedHead}5\r\nhello\r\n0\r\n`],
])('an answer whose connection is closed before the end of %s is not taken for a whole one', (_what, text) => {
  const { answers, error } = parse([text], true);
  expect(error).toContain('before the end');
  expect(answers).toEqual([]);
});
