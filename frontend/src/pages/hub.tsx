import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { HubChoice } from '../../../contract/downloads.ts';
import { call, errorAt } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Field } from '../components/field.tsx';
import { HubDownloads } from '../components/hub-downloads.tsx';
import { Card, Failure, Skeleton } from '../components/page.tsx';
import { formatBytes } from '../format.ts';

const listAnew = () => queryClient.invalidateQueries({ queryKey: queries.downloads.queryKey });

/** Choosing a model on the hub, and the downloads that are under way. */
export function Hub() {
  const downloads = useQuery(queries.downloads);
  const [repository, setRepository] = useState('');
  const [revision, setRevision] = useState('main');
  const look = useMutation({ mutationFn: () => call('lookAtHub', { body: { repository, revision } }) });
  if (downloads.isPending) return <Skeleton />;
  if (downloads.isError) return <Failure error={downloads.error} retry={() => void downloads.refetch()} />;
  const { endpoint, offline, has_token } = downloads.data;
  return (
    <div className="space-y-4">
      {offline ? (
        <Card>Cortex is in offline mode: nothing is asked of {endpoint}. Bring the model in a package.</Card>
      ) : (
        <Card title={`Model on ${endpoint}`}>
          <form
            className="space-y-4"
            onSubmit={(event) => {
              event.preventDefault();
              look.mutate();
            }}
          >
            <div className="grid gap-4 md:grid-cols-2">
              <Field
                label="Model"
                help="As the hub calls it: org/name"
                error={errorAt(look.error, 'repository')}
                value={repository}
                onChange={(event) => setRepository(event.target.value.trim())}
              />
              <Field
                label="Revision"
                help="A branch, a tag or a commit."
                error={errorAt(look.error, 'revision')}
                value={revision}
                onChange={(event) => setRevision(event.target.value.trim())}
              />
            </div>
            <Button type="submit" disabled={look.isPending || repository === '' || revision === ''}>
              {look.isPending ? 'Asking the hub…' : 'Look'}
            </Button>
          </form>
          {look.isError ? <Failure error={look.error} /> : null}
        </Card>
      )}
      {look.data ? (
        <Choose
          key={`${look.data.repository}@${look.data.commit}`}
          {...look.data}
          onStarted={() => {
            look.reset();
            return listAnew();
          }}
        />
      ) : null}
      {offline ? null : <Token isKept={has_token} />}
      <HubDownloads />
    </div>
  );
}

interface Found {
  readonly repository: string;
  readonly commit: string;
  readonly licence: string | null;
  readonly choices: readonly HubChoice[];
  readonly free_bytes: number;
}

function Choose({ repository, commit, licence, choices, free_bytes, onStarted }: Found & { onStarted: () => unknown }) {
  const [chosen, setChosen] = useState<readonly string[]>(choices.slice(0, 1).map(({ label }) => label));
  const [folder, setFolder] = useState(repository.split('/').at(-1) ?? '');
  const taken = choices.filter(({ label }) => chosen.includes(label));
  const paths = [...new Set(taken.flatMap((choice) => choice.paths))];
  const bytes = taken.reduce((sum, choice) => sum + choice.size_bytes, 0);
  const start = useMutation({
    mutationFn: () => call('startDownload', { body: { repository, revision: commit, folder, paths } }),
    onSuccess: onStarted,
  });
  if (choices.length === 0)
    return <Card title={repository}>There are no weights in it that can be served (.gguf or .safetensors).</Card>;
  return (
    <Card title={`${repository} at ${commit.slice(0, 8)}`}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          start.mutate();
        }}
      >
        <p className="text-muted">Licence: {licence ?? 'not told'}</p>
        <fieldset className="space-y-2">
          <legend className="text-sm font-medium">Files</legend>
          {choices.map(({ label, paths: files, size_bytes }) => (
            <label key={label} className="flex items-baseline gap-2">
              <input
                type="checkbox"
                checked={chosen.includes(label)}
                onChange={({ target }) =>
                  setChosen(target.checked ? [...chosen, label] : chosen.filter((one) => one !== label))
                }
              />
              <span className="min-w-0 font-mono break-all">{label}</span>
              <span className="text-muted tabular-nums">
                {formatBytes(size_bytes)}
                {files.length > 1 ? ` · ${files.length} files` : ''}
              </span>
            </label>
          ))}
        </fieldset>
        <Field
          label="Folder"
          help="A new one, below the models folder."
          error={errorAt(start.error, 'folder')}
          value={folder}
          onChange={(event) => setFolder(event.target.value.trim())}
        />
        <p className={bytes > free_bytes ? 'text-bad' : 'text-muted'}>
          {formatBytes(bytes)} of {formatBytes(free_bytes)} free
          {bytes > free_bytes ? ': not enough space' : ''}
        </p>
        {start.isError && errorAt(start.error, 'folder') === undefined ? <Failure error={start.error} /> : null}
        <Button look="primary" type="submit" disabled={paths.length === 0 || folder === '' || start.isPending}>
          Download
        </Button>
      </form>
    </Card>
  );
}

function Token({ isKept }: { isKept: boolean }) {
  const [token, setToken] = useState('');
  const keep = useMutation({
    mutationFn: (kept: string | null) => call('setHubToken', { body: { token: kept } }),
    onSuccess: () => {
      setToken('');
      return listAnew();
    },
  });
  return (
    <Card title="Token for gated models">
      <form
        className="space-y-3"
        onSubmit={(event) => {
          event.preventDefault();
          keep.mutate(token);
        }}
      >
        <Field
          label="Token"
          type="password"
          autoComplete="off"
          help={isKept ? 'One is kept; it is never shown again.' : 'Only for models whose licence has to be accepted.'}
          error={errorAt(keep.error, 'token')}
          value={token}
          onChange={(event) => setToken(event.target.value.trim())}
        />
        <div className="flex gap-2">
          <Button type="submit" disabled={token === '' || keep.isPending}>
            Keep token
          </Button>
          {isKept ? (
            <Button look="danger" disabled={keep.isPending} onClick={() => keep.mutate(null)}>
              Remove token
            </Button>
          ) : null}
        </div>
      </form>
    </Card>
  );
}
