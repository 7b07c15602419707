import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CortexError } from '../contract/errors.ts';
import { canonicalName, familiarName, parseImageReference } from './image-reference.ts';

describe('an image reference', () => {
  it.each([
    ['postgres:16', 'docker.io/library/postgres:16', 'postgres:16'],
    ['vllm/vllm-openai:v0.6.3', 'docker.io/vllm/vllm-openai:v0.6.3', 'vllm/vllm-openai:v0.6.3'],
    [
      'ghcr.io/ggml-org/llama.cpp:server-cuda',
      'ghcr.io/ggml-org/llama.cpp:server-cuda',
      'ghcr.io/ggml-org/llama.cpp:server-cuda',
    ],
    ['localhost:5000/redis', 'localhost:5000/redis:latest', 'localhost:5000/redis:latest'],
  ])('%s is read as Docker reads it', (text, canonical, familiar) => {
    expect(canonicalName(parseImageReference(text))).toBe(canonical);
    expect(familiarName(parseImageReference(text))).toBe(familiar);
  });
  it.each(['', '../x', 'a/../b', '/etc/passwd', 'A/B', 'x:y:z', 'x@sha256:1', 'x\n'])('%j is refused', (text) => {
    expect(() => parseImageReference(text)).toThrow(CortexError);
  });
  it('never names anything but letters, digits and the marks of a name, whatever is given', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(canonicalName(parseImageReference(text))).toMatch(/^[\w.:/-]+$/);
        } catch (error) {
          expect(error).toBeInstanceOf(CortexError);
        }
      }),
    );
  });
});
