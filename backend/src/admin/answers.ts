import { z } from 'zod';

type Write = (answer: unknown) => Buffer;

/**
 * Checks answers by their schema and writes them. Of an answer that is one list, the elements are checked and written by
 * themselves, and one that is frozen only once: it says the same as long as it is there.
 */
export function answerWriter(schema: z.ZodType): Write {
  const list = onlyList(schema);
  if (list === null) return writer(schema);
  const writeOne = writer(list.element);
  const written = new WeakMap<object, Buffer>();
  const textOf: Write = (value) => {
    if (typeof value !== 'object' || value === null || !Object.isFrozen(value)) return writeOne(value);
    const text = written.get(value) ?? writeOne(value);
    written.set(value, text);
    return text;
  };
  const [begin, comma, end] = [Buffer.from(`{"${list.name}":[`), Buffer.from(','), Buffer.from(']}')];
  const writeWhole = writer(schema);
  return (answer) => {
    const values: unknown = Object(answer)[list.name];
    if (!Array.isArray(values)) return writeWhole(answer);
    const texts = values.flatMap((value, at) => (at === 0 ? [textOf(value)] : [comma, textOf(value)]));
    return Buffer.concat([begin, ...texts, end]);
  };
}

const writer =
  (schema: z.ZodType): Write =>
  (value) =>
    Buffer.from(JSON.stringify(z.encode(schema, value)));

/** The list that is all of an answer: `{ models: […] }`. */
function onlyList(schema: z.ZodType): { name: string; element: z.ZodType } | null {
  if (!(schema instanceof z.ZodObject)) return null;
  const [field, more] = Object.entries(schema.shape);
  if (field === undefined || more !== undefined) return null;
  const [name, value] = field;
  return value instanceof z.ZodArray && value.element instanceof z.ZodObject ? { name, element: value.element } : null;
}
