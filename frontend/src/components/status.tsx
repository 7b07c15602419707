import type { ModelState } from '../../../contract/models.ts';

type Tone = 'ok' | 'warn' | 'bad' | 'muted' | 'accent';
const colours: Record<Tone, string> = {
  ok: 'text-ok',
  warn: 'text-warn',
  bad: 'text-bad',
  muted: 'text-muted',
  accent: 'text-accent',
};

/** A mark, a word and a reason: colour never carries a status alone. */
export function Status({
  mark,
  word,
  tone,
  reason,
}: {
  mark: string;
  word: string;
  tone: Tone;
  reason?: string | null | undefined;
}) {
  return (
    <span className="inline-flex min-w-0 items-baseline gap-1.5">
      <span aria-hidden className={colours[tone]}>
        {mark}
      </span>
      <span className={`font-medium ${colours[tone]}`}>{word}</span>
      {reason ? <span className="truncate text-muted">· {reason}</span> : null}
    </span>
  );
}

const states: Record<ModelState, { mark: string; tone: Tone }> = {
  ready: { mark: '●', tone: 'ok' },
  loading: { mark: '◐', tone: 'accent' },
  starting: { mark: '◔', tone: 'accent' },
  pulling: { mark: '◔', tone: 'accent' },
  stopping: { mark: '◑', tone: 'muted' },
  stopped: { mark: '○', tone: 'muted' },
  unhealthy: { mark: '▲', tone: 'warn' },
  failed: { mark: '▲', tone: 'bad' },
};

export function ModelStatus({ state, reason }: { state: ModelState; reason?: string | null }) {
  return <Status {...states[state]} word={state} reason={reason} />;
}
