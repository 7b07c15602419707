/**
 * What engines answer on /v1/audio/transcriptions and /v1/audio/speech.
 *
 * vLLM: vllm/entrypoints/openai/speech_to_text/protocol.py. What it measures it tells as a text (`duration: str`), what it does
 * not know as null, and its streams are chunks like those of chat.
 * llama-server: tools/server/server-task.cpp (`to_json_oaicompat_asr`): a document is what ends a stream.
 * OpenAI's own, which an external endpoint may be: speech as events (`stream_format: "sse"`).
 */

const text = 'Grüße 🙂';
const words = ['Grüße ', '🙂'];
const segment = {
  id: 0,
  avg_logprob: -0.25,
  compression_ratio: 1.25,
  end: 1.5,
  no_speech_prob: null,
  seek: 0,
  start: 0,
  temperature: 0,
  text,
  tokens: [50_364, 440, 50_513],
};
const chunk = (delta: object, finish: string | null = null) => ({
  id: 'trsc-1',
  object: 'transcription.chunk',
  created: 1_750_000_000,
  model: 'chatty',
  choices: [{ delta, finish_reason: finish, stop_reason: null }],
});

const llamaDone = {
  type: 'transcript.text.done',
  text,
  usage: {
    type: 'tokens',
    input_tokens: 14,
    output_tokens: 4,
    total_tokens: 18,
    input_tokens_details: { cached_tokens: 0 },
  },
};

export const audioRecordings = {
  vllm: {
    json: { text, usage: { type: 'duration', seconds: 2 } },
    verbose: { duration: '1.5', language: 'de', text, segments: [segment], words: null },
    stream: [...words.map((content) => chunk({ content })), chunk({ content: '' }, 'stop')],
  },
  llama: {
    json: llamaDone,
    stream: [...words.map((delta) => ({ type: 'transcript.text.delta', delta })), llamaDone],
  },
  openAi: {
    speech: [
      { type: 'speech.audio.delta', audio: 'UklGRg==' },
      { type: 'speech.audio.done', usage: { input_tokens: 9, output_tokens: 40, total_tokens: 49 } },
    ],
  },
};
