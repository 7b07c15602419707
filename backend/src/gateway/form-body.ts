/** One part of a multipart form: where its value stands. */
export interface FormField {
  readonly name: string;
  readonly isFile: boolean;
  readonly start: number;
  readonly end: number;
}

export interface Form {
  readonly boundary: string;
  /** Where the first boundary stands. */
  readonly start: number;
  readonly fields: readonly FormField[];
}

const mediaType = /^multipart\/form-data((?:[ \t]*;[ \t]*[\w-]+=(?:"[^"\\]*"|[^\s;"]+))*)[ \t]*$/i;
const mediaParameter = /;[ \t]*([\w-]+)=(?:"([^"\\]*)"|([^\s;"]+))/g;
const longestHeadBytes = 8 * 1024;
const lineEnd = Buffer.from('\r\n');
const headEnd = Buffer.from('\r\n\r\n');

/**
 * Reads the parts of a multipart/form-data body (RFC 7578) without copying them. Null for all that two readers could take for
 * different forms, as the engine would then be asked for something else than what was allowed here.
 */
export function readForm(body: Buffer, contentType: string): Form | null {
  const boundary = boundaryOf(contentType);
  if (boundary === null) return null;
  const first = Buffer.from(`--${boundary}\r\n`);
  const start = body.indexOf(lineEnd) === 0 ? lineEnd.length : 0;
  if (!startsWith(body, first, start)) return null;
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const fields: FormField[] = [];
  // The line end before the head's first line: a part without a head has nothing but the blank line.
  let at = start + first.length - lineEnd.length;
  for (;;) {
    const endOfHead = body.indexOf(headEnd, at);
    if (endOfHead === -1 || endOfHead - at > longestHeadBytes) return null;
    const named = namedIn(body.toString('utf8', at + lineEnd.length, endOfHead));
    if (named === null) return null;
    const valueAt = endOfHead + headEnd.length;
    const end = body.indexOf(delimiter, valueAt);
    if (end === -1) return null;
    fields.push({ ...named, start: valueAt, end });
    at = end + delimiter.length;
    if (body[at] === 0x2d && body[at + 1] === 0x2d) return { boundary, start, fields };
    // Some take what begins like a boundary for one, others for a part of the value.
    if (!startsWith(body, lineEnd, at)) return null;
  }
}

/** The text of a field; null where there is none, undefined where it stands there twice, as a file, or is no short text. */
export function textOf(body: Buffer, { fields }: Form, name: string): string | null | undefined {
  const [field, ...others] = fields.filter((one) => one.name === name);
  if (field === undefined) return null;
  if (others.length > 0 || field.isFile || field.end - field.start > longestTextBytes) return undefined;
  return body.toString('utf8', field.start, field.end);
}

const longestTextBytes = 1024;

/** The body with these texts in the places of fields that have them already, and in front as fields of their own otherwise. */
export function setTexts(body: Buffer, { boundary, start, fields }: Form, texts: ReadonlyMap<string, string>): Buffer {
  if (texts.size === 0) return body;
  const parts: Buffer[] = [body.subarray(0, start)];
  for (const [name, text] of texts) {
    if (fields.some((field) => field.name === name)) continue;
    parts.push(Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`));
  }
  let copied = start;
  for (const field of fields) {
    const text = texts.get(field.name);
    if (text === undefined) continue;
    parts.push(body.subarray(copied, field.start), Buffer.from(text));
    copied = field.end;
  }
  return Buffer.concat([...parts, body.subarray(copied)]);
}

function boundaryOf(contentType: string): string | null {
  const [, parameters] = mediaType.exec(contentType) ?? [];
  if (parameters === undefined) return null;
  let boundary: string | null = null;
  for (const [, name = '', quoted, plain = ''] of parameters.matchAll(mediaParameter)) {
    const value = quoted ?? plain;
    const known = name.toLowerCase();
    if (known === 'boundary' && boundary === null && value.length > 0 && value.length <= 70) boundary = value;
    // Another character set would be another text to whoever heeds it.
    else if (known !== 'charset' || value.toLowerCase() !== 'utf-8') return null;
  }
  return boundary;
}

const startsWith = (body: Buffer, text: Buffer, at: number) => body.subarray(at, at + text.length).equals(text);

const headLine = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n\0]*)$/;
const disposition = /^form-data((?:[ \t]*;[ \t]*[\w-]+\*?=(?:"(?:[^"\\]|\\(?!"))*"|[^\s;"\\]*))*)[ \t]*;?[ \t]*$/i;
const dispositionParameter = /;[ \t]*([\w-]+\*?)=(?:"([^"]*)"|([^\s;"]*))/g;

/** What a part's head calls it. .NET's clients write names without quotes. */
function namedIn(head: string): Pick<FormField, 'name' | 'isFile'> | null {
  let told: string | null = null;
  for (const line of head.split('\r\n')) {
    const [, name, value = ''] = headLine.exec(line) ?? [];
    if (name === undefined) return null;
    if (name.toLowerCase() !== 'content-disposition') continue;
    if (told !== null) return null;
    told = value;
  }
  const [, parameters] = disposition.exec(told ?? '') ?? [];
  if (parameters === undefined) return null;
  const values = new Map<string, string>();
  for (const [, name = '', quoted, plain = ''] of parameters.matchAll(dispositionParameter)) {
    if (values.has(name.toLowerCase())) return null;
    values.set(name.toLowerCase(), quoted ?? plain);
  }
  const name = values.get('name');
  if (name === undefined || values.has('name*')) return null;
  return { name, isFile: values.has('filename') || values.has('filename*') };
}
