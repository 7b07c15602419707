import { isDeepStrictEqual } from 'node:util';
import { jsonAnswer, laneName } from './answers.ts';
import type { LoopJob } from './job.ts';

/** Says what is wrong with an answer, or null. */
export type AnswerCheck = (head: string, body: Buffer) => string | null;

const isMarked = (head: string, marker: string | null) =>
  marker === null || head.toLowerCase().includes(`\r\n${marker}:`);
const ownKeys = ['id', 'object', 'created', 'model', 'choices', 'usage'];

/** The document of this lane and no other. A target that writes it anew is held to its meaning once, then to its bytes. */
export function documentCheck(lane: number, { exact, marker }: Pick<LoopJob, 'exact' | 'marker'>): AnswerCheck {
  const text = jsonAnswer(laneName(lane));
  let reference: Buffer | null = exact ? Buffer.from(text) : null;
  return (head, body) => {
    if (!head.startsWith('HTTP/1.1 200 ')) return `${head.slice(0, 40)} ${body.toString('utf8', 0, 200)}`;
    if (!isMarked(head, marker)) return `no header ${marker}: this did not come through the target`;
    if (reference === null) {
      if (!meansTheSame(body.toString('utf8'), text)) return `another meaning: ${body.toString('utf8', 0, 200)}`;
      reference = body;
    }
    return body.equals(reference) ? null : `other bytes: ${body.toString('utf8', 0, 200)}`;
  };
}

function meansTheSame(answer: string, expected: string): boolean {
  const said: Record<string, unknown> = JSON.parse(answer);
  const wanted: Record<string, unknown> = JSON.parse(expected);
  return ownKeys.every((key) => isDeepStrictEqual(said[key], wanted[key]));
}

const requestId = /req_[0-9a-f]{32}/;

/** A 401 that says the key is not valid; all of them alike but for the request's id. */
export function refusalCheck(): AnswerCheck {
  let reference: string | null = null;
  return (head, body) => {
    const text = body.toString('latin1');
    if (!head.startsWith('HTTP/1.1 401 ')) return `${head.slice(0, 40)} ${text.slice(0, 200)}`;
    const known = text.replace(requestId, '');
    if (reference === null && !text.includes('"code":"invalid_api_key"')) return text.slice(0, 200);
    reference ??= known;
    return known === reference ? null : `another refusal: ${text.slice(0, 200)}`;
  };
}
