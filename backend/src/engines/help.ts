/** What an image told of its engine. */
export interface EngineFacts {
  /** `0.6.3` of vLLM, `b4719` of llama.cpp; null where neither the image nor its name tells it. */
  readonly version: string | null;
  /** Every flag of its `--help`, with whether it takes a value; null where it could not be asked. */
  readonly flags: ReadonlyMap<string, boolean> | null;
}

/** A flag at the beginning of a line, with what stands for its value and the comma before the next one. */
const head = /^\s*(--?[A-Za-z][\w.-]*)( ?\[[^\]]*\]| ?\{[^}]*\}| ?<[^>]*>\S*| [^\s,[{<][^\s,]*)?(,?)/;
const longestHelpIndent = 6;

/**
 * The flags that a `--help` lists: argparse's (vLLM) and llama.cpp's. Only the beginnings of entries count, since the
 * explanations name other flags; those that llama.cpp lists as removed don't.
 */
export function flagsInHelp(text: string): ReadonlyMap<string, boolean> {
  const flags = new Map<string, boolean>();
  let entry: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const isRemoved = /argument has been removed/.test(line);
    const isEntry = /^\s*-{1,2}[A-Za-z]/.test(line) && line.search(/\S/) <= longestHelpIndent;
    if (isRemoved && !isEntry) for (const flag of entry) flags.delete(flag);
    if (!isEntry) continue;
    entry = [];
    let rest = line;
    let takesValue = false;
    for (;;) {
      const found = head.exec(rest);
      if (found?.[1] === undefined) break;
      entry.push(found[1]);
      takesValue ||= found[2] !== undefined;
      rest = rest.slice(found[0].length);
      if (found[3] !== ',') break;
    }
    if (isRemoved) continue;
    for (const flag of entry) flags.set(flag, takesValue);
  }
  return flags;
}

/** The version in the name of an image: `vllm/vllm-openai:v0.6.3`, `llama.cpp:server-cuda-b4719`. */
export function versionInName(engine: 'vllm' | 'llamacpp', image: string): string | null {
  const tag = image.slice(image.lastIndexOf('/') + 1).split(':')[1] ?? '';
  return (engine === 'vllm' ? /^v?(\d+\.\d+\.\d+)/ : /(?:^|-)(b\d{3,})$/).exec(tag)?.[1] ?? null;
}

/** What `llama-server --version` says: `version: 4719 (d07c6213)`. Build 0 is one that does not know its number. */
export function llamacppVersion(text: string): string | null {
  const build = /^version: (\d+)/m.exec(text)?.[1];
  return build === undefined || build === '0' ? null : `b${build}`;
}
