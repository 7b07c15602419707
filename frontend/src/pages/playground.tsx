import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useId, useRef, useState } from 'react';
import type { RouteResponse, Routes } from '../../../contract/routes.ts';
import { streamChat } from '../api/chat-stream.ts';
import { queries } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Field, inputClass, TextField } from '../components/field.tsx';
import { Empty, Failure, Page, Skeleton } from '../components/page.tsx';

interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly facts?: string;
}

export function Playground() {
  const routing = useQuery(queries.routing);
  const names = chattyNames(routing.data);
  return (
    <Page title="Playground" lead="Ask a model something. Nothing is kept.">
      {routing.isPending ? <Skeleton /> : null}
      {routing.isError ? <Failure error={routing.error} retry={() => void routing.refetch()} /> : null}
      {routing.data && names.length === 0 ? (
        <Empty
          title="No model is ready"
          action={
            <Link to="/models" className={buttonClass('primary')}>
              Go to Models
            </Link>
          }
        >
          Start a model that chats; it appears here when it is ready.
        </Empty>
      ) : null}
      {names.length > 0 ? <Chat names={names} /> : null}
    </Page>
  );
}

/** The ready names that chat, and the aliases that lead to one. */
function chattyNames(routing: RouteResponse<Routes['getRouting']> | undefined): readonly string[] {
  if (routing === undefined) return [];
  const ready = routing.models
    .filter(({ state, task }) => state === 'ready' && task === 'generate')
    .map(({ served_name: name }) => name);
  const aliases = routing.aliases
    .filter(({ targets }) => targets.some(({ served_name: name }) => ready.includes(name)))
    .map(({ name }) => name);
  return [...ready, ...aliases];
}

function Chat({ names }: { names: readonly string[] }) {
  const search = useSearch({ from: '/inside/playground' });
  const navigate = useNavigate({ from: '/playground' });
  const model = names.find((name) => name === search.model) ?? names[0] ?? '';
  const [messages, setMessages] = useState<readonly Message[]>([]);
  const [system, setSystem] = useState('');
  const [temperature, setTemperature] = useState('0.7');
  const [maxTokens, setMaxTokens] = useState('256');
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const running = useRef<AbortController | null>(null);
  const said = useRef<HTMLDivElement>(null);
  const modelId = useId();
  const messageId = useId();

  // biome-ignore lint/correctness/useExhaustiveDependencies: what is said anew is what moves the box.
  useEffect(() => {
    if (said.current) said.current.scrollTop = said.current.scrollHeight;
  }, [messages, error]);

  const send = async () => {
    const asked: Message[] = [...messages, { role: 'user', content: text }];
    const abort = new AbortController();
    running.current = abort;
    setBusy(true);
    setError(null);
    setText('');
    let content = '';
    let facts = '';
    const startedAt = performance.now();
    let firstAt: number | null = null;
    const show = () => setMessages([...asked, { role: 'assistant', content, facts }]);
    show();
    try {
      const prompt = system === '' ? [] : [{ role: 'system' as const, content: system }];
      const request = {
        model,
        messages: [...prompt, ...asked.map(({ role, content: said }) => ({ role, content: said }))],
        temperature: Number(temperature),
        max_tokens: Number(maxTokens),
      };
      for await (const part of streamChat(request, abort.signal)) {
        firstAt ??= performance.now();
        if ('text' in part) content += part.text;
        else {
          const seconds = (performance.now() - firstAt) / 1000;
          facts = `${part.completionTokens} tokens · ${(part.completionTokens / Math.max(seconds, 0.001)).toFixed(1)} tokens/s · first after ${Math.round(firstAt - startedAt)} ms`;
        }
        show();
      }
    } catch (failure) {
      if (!abort.signal.aborted) setError(failure);
      // Without a word of answer the question goes back to where it was typed.
      if (content === '') {
        setMessages(messages);
        setText((typed) => (typed === '' ? text : typed));
      }
    } finally {
      setBusy(false);
    }
  };

  return (
    <div className="grid gap-5 lg:grid-cols-[1fr_16rem]">
      <div className="flex h-[60vh] min-h-[24rem] flex-col rounded-lg border border-line bg-surface lg:h-[calc(100vh-12rem)]">
        <div
          ref={said}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
          tabIndex={0}
          role="log"
          aria-label="Conversation"
          className="flex-1 space-y-4 overflow-y-auto p-4"
        >
          {messages.length === 0 ? (
            <p className="text-muted">The answer of {model} appears here as it is written.</p>
          ) : null}
          {messages.map((message, index) => (
            <div
              // biome-ignore lint/suspicious/noArrayIndexKey: messages are only ever added at the end.
              key={index}
              className={`max-w-prose ${message.role === 'user' ? 'ml-auto w-fit rounded-lg bg-raised px-3 py-2' : ''}`}
            >
              <p className="text-xs font-medium text-muted">{message.role === 'user' ? 'You' : model}</p>
              <p className="whitespace-pre-wrap break-words">{message.content || (busy ? '…' : '')}</p>
              {message.facts ? <p className="mt-1 text-xs text-muted">{message.facts}</p> : null}
            </div>
          ))}
          {error ? <Failure error={error} /> : null}
        </div>
        <form
          className="flex items-end gap-2 border-t border-line p-3"
          onSubmit={(event) => {
            event.preventDefault();
            void send();
          }}
        >
          <div className="flex-1">
            <label htmlFor={messageId} className="sr-only">
              Message
            </label>
            <textarea
              id={messageId}
              rows={2}
              placeholder="Message"
              className={`${inputClass} h-auto py-2`}
              value={text}
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && !event.shiftKey && text.trim() !== '' && !busy) {
                  event.preventDefault();
                  void send();
                }
              }}
            />
          </div>
          {/* Two elements: one that turned from Stop into Send within the click would send. */}
          {busy ? (
            <Button key="stop" onClick={() => running.current?.abort()}>
              Stop
            </Button>
          ) : (
            <Button key="send" look="primary" type="submit" disabled={text.trim() === ''}>
              Send
            </Button>
          )}
        </form>
      </div>
      <div className="space-y-4">
        <div className="space-y-1">
          <label htmlFor={modelId} className="block text-sm font-medium">
            Model
          </label>
          <select
            id={modelId}
            className={inputClass}
            value={model}
            onChange={(event) => void navigate({ search: { model: event.target.value } })}
          >
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </div>
        <TextField label="System prompt" rows={4} value={system} onChange={(event) => setSystem(event.target.value)} />
        <Field
          label="Temperature"
          type="number"
          min="0"
          max="2"
          step="0.1"
          value={temperature}
          onChange={(event) => setTemperature(event.target.value)}
        />
        <Field
          label="Max tokens"
          type="number"
          min="1"
          max="100000"
          value={maxTokens}
          onChange={(event) => setMaxTokens(event.target.value)}
        />
        <Button disabled={busy || messages.length === 0} onClick={() => setMessages([])}>
          New conversation
        </Button>
      </div>
    </div>
  );
}
