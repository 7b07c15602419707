import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { diagnose, recognise } from './diagnose.ts';
import { causes } from './rules.ts';

const folder = new URL('real-logs/', import.meta.url);
// CODE.WHERE.txt: the page that an excerpt is from, then its lines, shortened. `none` is no failure.
const excerpts = readdirSync(folder).map((file) => {
  const [source = '', ...lines] = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n');
  return { file, source, lines, code: file.split('.')[0] ?? '' };
});
const ended = { exitCode: 1, oomKilled: false, error: '' };

describe('logs that people have shown', () => {
  it.each(excerpts)('$file is told by its cause', ({ source, lines, code }) => {
    expect(source).toMatch(/^# https:\/\//);
    expect(recognise(lines)?.code ?? 'none').toBe(code);
  });

  it.each(excerpts)('$file is claimed by no other cause', ({ lines, code }) => {
    const claiming = causes.filter(({ pattern }) => lines.some((line) => pattern.test(line)));
    expect(claiming.filter((rule) => rule.code !== code).map((rule) => rule.code)).toEqual([]);
  });
});

describe('the diagnosis', () => {
  const of = (file: string) => diagnose(excerpts.find((excerpt) => excerpt.file === file)?.lines ?? [], ended);

  it('names the length that the engine says would fit', () => {
    expect(of('length-over-kv-cache.vllm.txt').hint).toContain('max_model_len to 34736');
    expect(of('length-over-kv-cache.vllm-older.txt').hint).toContain('max_model_len to 3664');
  });

  it('names the share of the GPU that is free', () => {
    expect(of('gpu-memory-taken.vllm.txt').hint).toContain('gpu_memory_utilization to 0.8 ');
  });

  it('shows the line that names the cause, not those that follow from it', () => {
    expect(of('no-kv-cache.vllm.txt').reason).toContain('No available memory for the cache blocks');
  });

  it('tells the newest run of an engine that has failed twice', () => {
    const lines = ['CUDA error: out of memory', "unknown model architecture: 'llama4'"];
    expect(recognise(lines)?.code).toBe('unknown-architecture');
  });

  it('reads what the Engine says of a container that it could not start', () => {
    const error = 'could not select device driver "" with capabilities: [[gpu]]';
    expect(diagnose([], { ...ended, error }).reason).toContain('Docker can not give a GPU');
  });

  it('gives the last words of a failure that nobody knows', () => {
    expect(diagnose(['something odd', ''], ended).reason).toBe('the engine ended with code 1: something odd');
  });
});
