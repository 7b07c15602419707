import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readForm, setTexts, textOf } from './form-body.ts';

const type = 'multipart/form-data; boundary=B';
const part = (head: string, value: string) => `--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`;
const form = (...parts: string[]) => Buffer.from(`${parts.join('')}--B--\r\n`);
const model = part('name="model"', 'whisper');
const file = part('name="file"; filename="a.wav"', 'RIFF');
const modelOf = (body: Buffer, contentType = type) => {
  const read = readForm(body, contentType);
  return read === null ? 'no form' : textOf(body, read, 'model');
};

describe('a form tells its model', () => {
  it.each<[string, Buffer, string?]>([
    ['behind a file', form(file, model)],
    ['before a file', form(model, file)],
    ['whose name has no quotes, as .NET writes it', form(part('name=model', 'whisper'), file)],
    ['beside a file whose name has a backslash', form(part('name="file"; filename="C:\\a.wav"', 'RIFF'), model)],
    ['beside a file with two names', form(part(`name="file"; filename="a"; filename*=utf-8''%61`, 'RIFF'), model)],
    ['with more headers', form(model.replace('\r\n\r\n', '\r\nContent-Type: text/plain\r\n\r\n'))],
    ['behind a line end', Buffer.concat([Buffer.from('\r\n'), form(model)])],
    ['with a boundary in quotes', form(model), 'Multipart/Form-Data; charset=UTF-8; boundary="B"'],
    [
      'beside a file that holds what is no boundary',
      form(part('name="file"; filename="a"', 'x--B\r\n\n--B\r\n'), model),
    ],
    ['before something behind the end', Buffer.concat([form(model), Buffer.from(part('name="model"', 'evil'))])],
  ])('%s', (_what, body, contentType) => {
    expect(modelOf(body, contentType)).toBe('whisper');
  });
});

describe('what two readers may take for different forms is none:', () => {
  const inFile = (bytes: string) => form(part('name="file"; filename="a"', bytes), model);
  it.each<[string, Buffer, string?]>([
    ['a boundary that is longer than told', inFile('\r\n--Bx\r\n\r\nname')],
    [
      'a boundary with a space behind it',
      inFile('\r\n--B \r\nContent-Disposition: form-data; name="model"\r\n\r\nevil'),
    ],
    ['lines that end in LF', Buffer.from(form(model).toString().replaceAll('\r\n', '\n'))],
    ['something before the first boundary', Buffer.concat([Buffer.from('x\r\n'), form(model)])],
    ['no end', Buffer.from(model)],
    ['two boundaries', form(model), `${type}; boundary=C`],
    ['no boundary', form(model), 'multipart/form-data'],
    ['another character set', form(model), `${type}; charset=utf-7`],
    ['a name that is extended', form(part(`name="x"; name*=utf-8''model`, 'evil'), model)],
    ['two names', form(part('name="model"; name="x"', 'evil'))],
    ['a quote in a file name', form(part('name="file"; filename="a\\"; name=\\"model"', 'RIFF'), model)],
    ['two dispositions', form(model.replace('\r\n\r\n', '\r\nContent-Disposition: form-data; name="x"\r\n\r\n'))],
    ['a folded header', form(model.replace('form-data; ', 'form-data;\r\n '))],
    ['a part without a name', form('--B\r\n\r\nx\r\n', model)],
  ])('%s', (_what, body, contentType) => {
    expect(modelOf(body, contentType)).toBe('no form');
  });
});

it.each([
  ['twice', form(model, file, model)],
  ['as a file', form(part('name="model"; filename="model"', 'evil'))],
  ['as a file and as a text', form(part('name="model"; filename="model"', 'evil'), model)],
  ['at length', form(part('name="model"', 'x'.repeat(2000)))],
])('a field that stands there %s has no text', (_what, body) => {
  expect(modelOf(body)).toBeUndefined();
});

it('texts that are set stand in their places, new ones in front, and every other byte is kept', () => {
  const before = form(model, file, part('name="language"', 'de'));
  const read = readForm(before, type);
  const texts = new Map([
    ['language', 'fr'],
    ['temperature', '0'],
    ['model', 'other'],
  ]);
  const wanted = form(
    part('name="temperature"', '0'),
    part('name="model"', 'other'),
    file,
    part('name="language"', 'fr'),
  );
  expect(read && setTexts(before, read, texts).toString()).toBe(wanted.toString());
});

it('what is no form is never more than not understood', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.string(), (bytes, contentType) => {
      modelOf(Buffer.from(bytes), contentType);
      modelOf(Buffer.from(bytes), type);
    }),
  );
});
