import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { ImportNote, ReadRecipe } from '../../../contract/recipes.ts';
import { ApiError, call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Dialog } from '../components/dialog.tsx';
import { TextField } from '../components/field.tsx';
import { Failure } from '../components/page.tsx';

const outcomes = { taken: 'taken', left_out: 'left out', refused: 'refused' } as const;

/** Reads recipes from a file, shows what becomes of each field, and saves those that are wanted. */
export function ImportRecipes({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const [text, setText] = useState('');
  const read = useMutation({ mutationFn: () => call('readRecipes', { body: { text } }) });
  const recipes = read.data?.recipes ?? [];
  const usable = recipes.filter(({ content }) => content !== null);
  const [refusals, setRefusals] = useState<readonly string[]>([]);
  const save = useMutation({
    mutationFn: async () => {
      const refused: string[] = [];
      for (const { name, note, content } of usable) {
        if (content === null) continue;
        await call('createRecipe', { body: { name, note, source: { content } } }).catch((error: unknown) => {
          if (!(error instanceof ApiError)) throw error;
          refused.push(`${name}: ${error.message}`);
        });
      }
      return refused;
    },
    onSuccess: async (refused) => {
      await queryClient.invalidateQueries({ queryKey: queries.recipes.queryKey });
      setRefusals(refused);
      if (refused.length === 0) await navigate({ to: '/recipes', search: {} });
    },
  });
  return (
    <Dialog
      title="Import recipes"
      description="A file of recipes, ours (YAML) or of the Python Cortex (JSON). Nothing is saved before you have seen what becomes of each field."
      size="wide"
      open
      onClose={onClose}
    >
      {read.data === undefined ? (
        <>
          <label className="block space-y-1 text-sm font-medium">
            <span className="block">File</span>
            <input
              type="file"
              accept=".yaml,.yml,.json"
              className="block w-full text-sm"
              onChange={(event) => void event.target.files?.[0]?.text().then(setText)}
            />
          </label>
          <TextField label="Or its text" rows={8} value={text} onChange={(event) => setText(event.target.value)} />
        </>
      ) : (
        recipes.map((one) => <Found key={`${one.name}${one.notes.length}`} recipe={one} />)
      )}
      {read.isError ? <Failure error={read.error} /> : null}
      {save.isError ? <Failure error={save.error} /> : null}
      {refusals.map((refusal) => (
        <Failure key={refusal} error={new Error(refusal)} />
      ))}
      <div className="flex flex-wrap justify-end gap-2">
        {read.data === undefined ? (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button look="primary" disabled={text.trim() === '' || read.isPending} onClick={() => read.mutate()}>
              {read.isPending ? 'Reading…' : 'Read'}
            </Button>
          </>
        ) : (
          <>
            <Button
              onClick={() => {
                setRefusals([]);
                read.reset();
              }}
            >
              Back
            </Button>
            <Button
              look="primary"
              disabled={usable.length === 0 || save.isPending || refusals.length > 0}
              onClick={() => save.mutate()}
            >
              {save.isPending ? 'Saving…' : `Save ${usable.length === 1 ? 'it' : `${usable.length} recipes`}`}
            </Button>
          </>
        )}
      </div>
    </Dialog>
  );
}

function Found({ recipe: { name, content, notes } }: { recipe: ReadRecipe }) {
  const attention = notes.filter(({ outcome }) => outcome !== 'taken');
  const taken = notes.filter(({ outcome }) => outcome === 'taken');
  return (
    <section className="space-y-2 rounded-md border border-line p-3" aria-label={name}>
      <h3 className={content === null ? 'font-medium text-bad' : 'font-medium'}>
        {content === null ? '▲ ' : ''}
        {name}
        {content === null ? ' can’t be taken' : ''}
      </h3>
      <Notes notes={attention} />
      {taken.length > 0 ? (
        <details>
          <summary className="cursor-pointer text-muted">{taken.length} fields taken</summary>
          <Notes notes={taken} />
        </details>
      ) : null}
    </section>
  );
}

function Notes({ notes }: { notes: readonly ImportNote[] }) {
  return (
    <ul className="mt-1 space-y-1">
      {notes.map(({ field, outcome, to, message }) => (
        <li key={`${field}${to}${message}`}>
          <span className={outcome === 'taken' ? 'text-muted' : 'text-warn'}>{outcomes[outcome]}</span>{' '}
          <span className="font-mono text-xs break-all">
            {field}
            {to === null ? '' : ` → ${to}`}
          </span>
          {message === null ? null : <span className="block text-muted">{message}</span>}
        </li>
      ))}
    </ul>
  );
}
