import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findFormField, replaceFormField } from './form-body.ts';

const type = 'multipart/form-data; boundary=B';
const part = (head: string, value: string) => `--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`;
const form = (...parts: string[]) => Buffer.from(`${parts.join('')}--B--\r\n`);

describe('a form', () => {
  it('tells its model, whatever files stand around it', () => {
    const body = form(part('name="file"; filename="a.wav"', 'RIFF'), part('name="model"', 'whisper'));
    expect(findFormField(body, type, 'model')?.value).toBe('whisper');
  });

  it('does not take a file that is called model for the model', () => {
    const body = form(part('name="model"; filename="model"', 'evil'), part('name="model"', 'whisper'));
    expect(findFormField(body, type, 'model')?.value).toBe('whisper');
  });

  it('does not take what a file holds for a part', () => {
    const inside = 'x--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nevil';
    const body = form(part('name="file"; filename="a"', inside), part('name="model"', 'whisper'));
    expect(findFormField(body, type, 'model')?.value).toBe('whisper');
  });

  it('gets another model in its place, and keeps every other byte', () => {
    const parts = (model: string) => form(part('name="model"', model), part('name="file"; filename="a"', 'RIFF'));
    const field = findFormField(parts('whisper'), type, 'model');
    expect(field && replaceFormField(parts('whisper'), field, 'other').toString()).toBe(parts('other').toString());
  });

  it('is never more than not understood', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.string(), (bytes, contentType) => {
        findFormField(Buffer.from(bytes), contentType, 'model');
        findFormField(Buffer.from(bytes), type, 'model');
      }),
    );
  });
});
