// The model behind the stand-in: real llama.cpp through node-llama-cpp, on the CPU.
import { Template } from '@huggingface/jinja';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { contentText, makeTurns } from './http.mjs';

export async function loadEngine(flags) {
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath: flags.model, gpuLayers: 0 });
  const contextSize = flags.contextSize > 0 ? flags.contextSize : model.trainContextSize;
  const perSlot = Math.max(64, Math.floor(contextSize / flags.parallel));
  const context = await model.createContext({
    contextSize: perSlot,
    sequences: flags.parallel,
    threads: flags.threads ?? 2,
  });
  const embedder = flags.embeddings ? await model.createEmbeddingContext({ contextSize: perSlot }) : undefined;
  const embedTurns = makeTurns(1);
  const turns = makeTurns(flags.parallel);
  const free = Array.from({ length: flags.parallel }, () => context.getSequence());
  const source = model.fileInfo.metadata.tokenizer?.chat_template;
  const template = source === undefined ? undefined : new Template(source);
  const bos = model.tokens.bos === null ? '' : model.detokenize([model.tokens.bos], true);
  const eos = model.tokens.eos === null ? '' : model.detokenize([model.tokens.eos], true);
  const tokenize = (text, special = false) => [...model.tokenize(text, special)];
  const withStart = (tokens) =>
    model.tokens.bos !== null && tokens[0] !== model.tokens.bos ? [model.tokens.bos, ...tokens] : tokens;

  return {
    perSlot,
    trainContextSize: model.trainContextSize,
    vocabularySize: model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0,
    embeddingSize: model.embeddingVectorSize,
    sizeBytes: model.size,
    chatTemplate: source ?? '',
    turns,
    tokenize,
    chatPrompt(messages) {
      const plain = messages.map((message) => ({ ...message, content: contentText(message.content) }));
      const text =
        template === undefined
          ? `${plain.map(({ role, content }) => `${role}: ${content}`).join('\n')}\nassistant:`
          : template.render({ messages: plain, bos_token: bos, eos_token: eos, add_generation_prompt: true });
      return withStart(tokenize(text, true));
    },
    textPrompt: (text) => withStart(tokenize(text)),
    async embed(text) {
      const tokens = withStart(tokenize(text));
      const { vector } = await embedTurns.take(() => embedder.getEmbeddingFor(tokens));
      const length = Math.hypot(...vector) || 1;
      return { vector: vector.map((value) => value / length), tokens: tokens.length };
    },
    /** Calls onText with each piece. Returns the true counts and why it ended. */
    generate(prompt, { maxTokens, temperature, seed, stop, signal, onText }) {
      return turns.take(async () => {
        const sequence = free.pop();
        try {
          await sequence.clearHistory();
          const made = [];
          let text = '';
          let sent = 0;
          const holdBack = Math.max(0, ...stop.map((word) => word.length - 1));
          const outcome = (reason) => ({ text, completionTokens: made.length, finishReason: reason });
          const flush = (keep) => {
            const upTo = Math.max(sent, text.length - keep);
            if (upTo > sent) onText(text.slice(sent, upTo));
            sent = upTo;
          };
          if (signal.aborted) return outcome('abort');
          const room = perSlot - prompt.length;
          const limit = Math.min(maxTokens < 0 ? room : maxTokens, room);
          if (limit <= 0) return outcome('length');
          for await (const token of sequence.evaluate(prompt, { temperature, seed, yieldEogToken: true })) {
            if (signal.aborted) return outcome('abort');
            made.push(token);
            if (model.isEogToken(token)) {
              flush(0);
              return outcome('stop');
            }
            text = model.detokenize(made, false);
            const hit = stop.map((word) => text.indexOf(word)).filter((at) => at >= 0);
            if (hit.length > 0) {
              text = text.slice(0, Math.min(...hit));
              flush(0);
              return outcome('stop');
            }
            // A token may be one byte of a character: what is not whole yet stays back.
            flush(Math.max(holdBack, /\uFFFD*$/.exec(text)[0].length));
            if (made.length >= limit) break;
          }
          flush(0);
          return outcome('length');
        } finally {
          free.push(sequence);
        }
      });
    },
  };
}
