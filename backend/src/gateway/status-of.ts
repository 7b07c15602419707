import type { AnswerSink } from './engine-client/connection.ts';
import type { EngineClient, EngineRequest } from './engine-client/engine-client.ts';

const nothing = Buffer.alloc(0);

/** The status that a GET is answered with; null where no answer has come to its end in time. */
export function statusOf(
  client: EngineClient,
  question: Pick<EngineRequest, 'url' | 'ca' | 'path' | 'headers'>,
  patienceMs: number,
): Promise<number | null> {
  return new Promise((resolve) => {
    let status: number | null = null;
    const end = (answer: number | null) => {
      clearTimeout(timer);
      resolve(answer);
    };
    const sink: AnswerSink = {
      onHead: (told) => {
        status = told;
      },
      onData: () => true,
      onEnd: () => end(status),
      onFail: () => end(null),
    };
    const call = client.send({ ...question, method: 'GET', body: nothing }, sink);
    const timer = setTimeout(() => {
      call.abort(sink);
      end(null);
    }, patienceMs);
  });
}
