import { expect, it } from 'vitest';
import { hubChoices } from './hub-choices.ts';

const choicesOf = (...paths: string[]) =>
  hubChoices(paths.map((path, index) => ({ path, sizeBytes: index + 1, sha256: null, gitBlobId: null })));

it('offers each quantisation with all its parts', () => {
  expect(choicesOf('Q8/m-00001-of-00002.gguf', 'Q8/m-00002-of-00002.gguf', 'm-Q4_K_M.gguf', 'README.md')).toEqual([
    {
      label: 'Q8/m.gguf',
      kind: 'gguf',
      paths: ['Q8/m-00001-of-00002.gguf', 'Q8/m-00002-of-00002.gguf'],
      size_bytes: 3,
    },
    { label: 'm-Q4_K_M.gguf', kind: 'gguf', paths: ['m-Q4_K_M.gguf'], size_bytes: 3 },
  ]);
});

it('offers safetensors with their configuration, and without the same weights in other forms', () => {
  const [choice] = choicesOf(
    ...['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'model.safetensors.index.json'],
    ...['config.json', 'tokenizer.json', 'pytorch_model.bin', 'original/consolidated.00.pth', 'onnx/model.onnx'],
    ...['original/params.json', 'consolidated.safetensors', 'LICENSE', '.gitattributes', 'logo.png'],
  );
  expect(choice?.paths).toEqual([
    ...['LICENSE', 'config.json', 'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'],
    ...['model.safetensors.index.json', 'tokenizer.json'],
  ]);
});

it("keeps Mistral's own form where there is no other", () => {
  expect(choicesOf('consolidated.safetensors', 'params.json', 'tekken.json')[0]?.paths).toEqual([
    ...['consolidated.safetensors', 'params.json', 'tekken.json'],
  ]);
});

it('offers nothing hidden, and nothing that looks like a file on its way', () => {
  expect(choicesOf('.cortex-source.json', '.hidden/m.gguf', 'm.gguf.partial')).toEqual([]);
});
