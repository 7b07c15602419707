/** One field of a multipart form: where its value stands. */
export interface FormField {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

const longestFieldBytes = 1024;

/**
 * Finds a short text field in a multipart/form-data body (RFC 7578), without copying the files beside it. Null where there
 * is none, or the body is not what its content type says.
 */
export function findFormField(body: Buffer, contentType: string, name: string): FormField | null {
  const boundary = /^multipart\/form-data\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  const delimiter = boundary?.[1] ?? boundary?.[2];
  if (delimiter === undefined) return null;
  const line = Buffer.from(`\r\n--${delimiter}`);
  const first = Buffer.from(`--${delimiter}\r\n`);
  // Boundaries stand at the start of a line: what looks like one inside a file is none.
  let at = body.indexOf(first) === 0 ? 0 : body.indexOf(Buffer.concat([line, Buffer.from('\r\n')]));
  while (at !== -1) {
    const headEnd = body.indexOf('\r\n\r\n', at);
    if (headEnd === -1) return null;
    const head = body.toString('utf8', at, Math.min(headEnd, at + 2048));
    const disposition = /\r\ncontent-disposition:\s*form-data\s*;([^\r\n]*)/i.exec(head)?.[1] ?? '';
    const start = headEnd + 4;
    const end = body.indexOf(line, start);
    if (end === -1) return null;
    const isFile = /(?:^|[;\s])filename\*?=/i.test(disposition);
    if (!isFile && /(?:^|[;\s])name="([^"]*)"/i.exec(disposition)?.[1] === name) {
      return end - start > longestFieldBytes ? null : { value: body.toString('utf8', start, end), start, end };
    }
    at = end;
  }
  return null;
}

/** The body with another value in the field's place. */
export const replaceFormField = (body: Buffer, { start, end }: FormField, value: string): Buffer =>
  Buffer.concat([body.subarray(0, start), Buffer.from(value), body.subarray(end)]);
