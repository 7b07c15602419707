import { Download } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { Model } from '../../../contract/models.ts';
import { routes } from '../../../contract/routes.ts';
import { buttonClass } from './button.tsx';
import { CopyButton } from './code.tsx';
import { inputClass } from './field.tsx';
import { Card } from './page.tsx';

/** More than a page can show smoothly; the file has all. */
const keptLines = 5000;

interface Line {
  readonly number: number;
  readonly text: string;
}

/** An engine's log, as it is written. */
export function EngineLog({ model }: { model: Model }) {
  const [replica, setReplica] = useState(0);
  const [search, setSearch] = useState('');
  const [follows, setFollows] = useState(true);
  const { lines, connected } = useLog(model.id, replica);
  const box = useRef<HTMLDivElement>(null);
  const evidence = model.cause?.evidence ?? '';
  const shownBy = useMemo(
    () => (evidence === '' ? undefined : lines.findLast(({ text }) => text.includes(evidence))?.number),
    [lines, evidence],
  );
  const wanted = search.trim().toLowerCase();
  const shown = useMemo(
    () => (wanted === '' ? lines : lines.filter(({ text }) => text.toLowerCase().includes(wanted))),
    [lines, wanted],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what moves the box.
  useEffect(() => {
    if (follows && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [shown, follows]);
  // The line that shows why it failed is brought into sight, in the log alone: the page stays where it is.
  useEffect(() => {
    const line = shownBy === undefined ? null : box.current?.querySelector<HTMLElement>('[aria-current]');
    if (!line || box.current === null) return;
    setFollows(false);
    box.current.scrollTop = line.offsetTop - box.current.offsetTop - box.current.clientHeight / 2;
  }, [shownBy]);
  const file = `${routes.downloadModelLogs.path.replace(':id', encodeURIComponent(model.id))}?replica=${replica}`;
  return (
    <Card title="Log">
      <div className="mb-2 flex flex-wrap items-center gap-2">
        <input
          type="search"
          aria-label="Search the log"
          placeholder="Search"
          className={`${inputClass} max-w-64`}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        {wanted === '' ? null : (
          <span className="text-muted" aria-live="polite">
            {shown.length} of {lines.length} lines
          </span>
        )}
        {model.replicas > 1 ? (
          <span className="w-32">
            <select
              aria-label="Replica"
              className={inputClass}
              value={replica}
              onChange={(event) => setReplica(Number(event.target.value))}
            >
              {Array.from({ length: model.replicas }, (_, index) => index).map((index) => (
                <option key={index} value={index}>
                  replica {index}
                </option>
              ))}
            </select>
          </span>
        ) : null}
        <label className="flex items-center gap-1.5">
          <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.target.checked)} />
          Follow
        </label>
        <span className="ml-auto flex gap-2">
          <CopyButton text={shown.map(({ text }) => text).join('\n')} label="Copy the log" />
          <a className={buttonClass()} href={file} download={`${model.served_name.replaceAll('/', '-')}.log`}>
            <Download aria-hidden className="size-4" />
            Download
          </a>
        </span>
      </div>
      {shown.length === 0 ? (
        <p className="text-muted">{emptyWords(lines.length, connected)}</p>
      ) : (
        <div
          ref={box}
          role="log"
          aria-label="The engine's log"
          aria-live="off"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
          tabIndex={0}
          onWheel={(event) => {
            if (event.deltaY < 0) setFollows(false);
          }}
          className="max-h-96 overflow-auto rounded-md bg-raised p-3 font-mono text-xs"
        >
          {shown.map(({ number, text }) => (
            <div
              key={number}
              aria-current={number === shownBy ? 'true' : undefined}
              className={`whitespace-pre-wrap break-all ${toneOf(text)} ${number === shownBy ? 'bg-warn/20 outline outline-warn' : ''}`}
            >
              {text === '' ? ' ' : text}
            </div>
          ))}
        </div>
      )}
    </Card>
  );
}

function emptyWords(lines: number, connected: boolean): string {
  if (lines > 0) return 'No line matches.';
  return connected ? 'There is no log: the engine has not run, or was stopped.' : 'Reading…';
}

const toneOf = (text: string): string => {
  if (/\b(?:ERROR|CRITICAL|FATAL|Traceback)\b|\berror:/.test(text)) return 'text-bad';
  return /\bWARN(?:ING)?\b|\bwarning:/.test(text) ? 'text-warn' : '';
};

/** The browser connects again by itself where the stream breaks off; what comes then begins anew. */
function useLog(id: string, replica: number): { lines: readonly Line[]; connected: boolean } {
  const [state, setState] = useState<{ lines: readonly Line[]; connected: boolean }>({ lines: [], connected: false });
  useEffect(() => {
    setState({ lines: [], connected: false });
    let number = 0;
    const path = routes.followModelLogs.path.replace(':id', encodeURIComponent(id));
    const source = new EventSource(`${path}?replica=${replica}`);
    source.onopen = () => setState((before) => ({ ...before, connected: true }));
    source.onmessage = (message: MessageEvent<string>) => {
      const piece = routes.followModelLogs.response.parse(JSON.parse(message.data));
      const more = piece.lines.map((text) => {
        number += 1;
        return { number, text };
      });
      setState(({ lines }) => ({
        lines: piece.begins ? more : [...lines, ...more].slice(-keptLines),
        connected: true,
      }));
    };
    return () => source.close();
  }, [id, replica]);
  return state;
}
