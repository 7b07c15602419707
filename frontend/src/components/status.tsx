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
    <span title={reason ?? undefined} className="line-clamp-3 sm:line-clamp-2">
      <span className={`whitespace-nowrap ${colours[tone]}`}>
        <span aria-hidden>{mark} </span>
        <span className="font-medium">{word}</span>
      </span>
      {reason ? <span className="text-muted"> · {reason}</span> : null}
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
