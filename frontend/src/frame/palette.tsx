import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Command } from 'cmdk';
import {
  Boxes,
  FileUp,
  KeyRound,
  type LucideIcon,
  MessageSquare,
  NotebookText,
  PanelLeft,
  Play,
  Plus,
  Square,
  SunMoon,
  UserRound,
} from 'lucide-react';
import { useState } from 'react';
import type { Model } from '../../../contract/models.ts';
import type { Right } from '../../../contract/rights.ts';
import { ApiError, call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Modal } from '../components/modal.tsx';
import { ModelStatus } from '../components/status.tsx';
import type { Theme } from '../theme.ts';
import { places } from './places.ts';

interface PaletteProps {
  readonly isFolded: boolean;
  readonly onFold: (isFolded: boolean) => void;
  readonly onTheme: (theme: Theme) => void;
  readonly onSignOut: () => void;
  readonly onClose: () => void;
}

/** Any page, model, key, recipe or action, by a few of its letters. */
export function Palette({ isFolded, onFold, onTheme, onSignOut, onClose }: PaletteProps) {
  const [search, setSearch] = useState('');
  const navigate = useNavigate();
  const { data: me } = useQuery(queries.me);
  const may = (right: Right) => me?.rights.includes(right) ?? false;
  const models = useQuery({ ...queries.models, enabled: may('models:read') });
  const recipes = useQuery({ ...queries.recipes, enabled: may('models:write') });
  const keys = useQuery({ ...queries.keys, enabled: may('keys:read') });
  const then = (act: () => unknown) => () => {
    onClose();
    void act();
  };
  const change = async (model: Model) => {
    const route = model.wanted === 'running' ? 'stopModel' : 'startModel';
    await call(route, { params: { id: model.id } }).catch((error: unknown) => {
      // Its page shows why.
      if (!(error instanceof ApiError)) throw error;
      sessionStorage.setItem(`refused:${model.id}`, JSON.stringify({ message: error.message, hint: error.hint }));
    });
    await queryClient.invalidateQueries({ queryKey: queries.models.queryKey });
    await navigate({ to: '/models/$id', params: { id: model.id } });
  };
  const isSearched = search.trim() !== '';
  return (
    <Modal
      title="Search and commands"
      hidesTitle
      open
      onClose={onClose}
      className="top-[12vh] left-1/2 w-[min(36rem,calc(100vw-1.5rem))] -translate-x-1/2 overflow-hidden rounded-lg border"
    >
      <Command label="Search and commands" loop>
        <Command.Input
          value={search}
          onValueChange={setSearch}
          placeholder="A page, model, key or action…"
          className="h-12 w-full border-b border-line bg-surface px-4 text-text outline-none! placeholder:text-muted"
        />
        <Command.Empty className="px-3 pt-8 pb-4 text-center text-muted">
          Nothing is called “{search.trim()}”.
        </Command.Empty>
        <Command.List label="Results" className="max-h-[min(24rem,60vh)] overflow-y-auto p-1.5">
          <Group heading="Pages">
            {places
              .filter(({ right }) => may(right))
              .map(({ to, name, icon }) => (
                <Item key={to} value={name} icon={icon} onSelect={then(() => navigate({ to }))} />
              ))}
          </Group>
          <Group heading="Models">
            {models.data?.map((model) => (
              <Item
                key={model.id}
                value={`${model.name} ${model.served_name}`}
                label={model.name}
                icon={Boxes}
                note={<ModelStatus state={model.state} />}
                onSelect={then(() => navigate({ to: '/models/$id', params: { id: model.id } }))}
              />
            ))}
            {isSearched
              ? models.data
                  ?.filter(({ state, task }) => may('chat') && state === 'ready' && task === 'generate')
                  .map(({ id, name, served_name: model }) => (
                    <Item
                      key={`ask ${id}`}
                      value={`Ask ${name} ${model} in the playground`}
                      label={`Ask ${name}`}
                      icon={MessageSquare}
                      onSelect={then(() => navigate({ to: '/playground', search: { model } }))}
                    />
                  ))
              : null}
            {isSearched && may('models:write')
              ? models.data?.map((model) => {
                  const [word, icon] =
                    model.wanted === 'running' ? (['Stop', Square] as const) : (['Start', Play] as const);
                  return (
                    <Item
                      key={`${word} ${model.id}`}
                      value={`${word} ${model.name} ${model.served_name}`}
                      label={`${word} ${model.name}`}
                      icon={icon}
                      onSelect={then(() => change(model))}
                    />
                  );
                })
              : null}
          </Group>
          {isSearched ? (
            <>
              <Group heading="API keys">
                {keys.data
                  ?.filter(({ revoked_at }) => revoked_at === null)
                  .map(({ id, name, prefix }) => (
                    <Item
                      key={id}
                      value={`${name} ${prefix}`}
                      label={name}
                      icon={KeyRound}
                      note={<span className="font-mono text-xs text-muted">{prefix}…</span>}
                      onSelect={then(() => navigate({ to: '/keys', search: { find: prefix } }))}
                    />
                  ))}
              </Group>
              <Group heading="Recipes">
                {recipes.data?.map(({ id, name }) => (
                  <Item
                    key={id}
                    value={`${name} recipe`}
                    label={name}
                    icon={NotebookText}
                    onSelect={then(() => navigate({ to: '/recipes/$id', params: { id } }))}
                  />
                ))}
              </Group>
            </>
          ) : null}
          <Group heading="Actions">
            {may('models:write') ? (
              <>
                <Item value="Add model" icon={Plus} onSelect={then(() => navigate({ to: '/models/add' }))} />
                <Item
                  value="Add endpoint"
                  icon={Plus}
                  onSelect={then(() => navigate({ to: '/routing', search: { add: 'endpoint' } }))}
                />
                <Item
                  value="New alias"
                  icon={Plus}
                  onSelect={then(() => navigate({ to: '/routing', search: { add: 'alias' } }))}
                />
                <Item
                  value="Import recipes from a file"
                  icon={FileUp}
                  onSelect={then(() => navigate({ to: '/recipes', search: { add: 'file' } }))}
                />
              </>
            ) : null}
            {may('keys:write') ? (
              <>
                <Item
                  value="New API key"
                  icon={KeyRound}
                  onSelect={then(() => navigate({ to: '/keys', search: { add: 'key' } }))}
                />
                <Item
                  value="Set a limit"
                  icon={Plus}
                  onSelect={then(() => navigate({ to: '/limits', search: { edit: '' } }))}
                />
              </>
            ) : null}
            <Item
              value={isFolded ? 'Unfold the rail' : 'Fold the rail'}
              icon={PanelLeft}
              onSelect={then(() => onFold(!isFolded))}
            />
            {(['light', 'dark', 'system'] as const).map((theme) => (
              <Item
                key={theme}
                value={`Theme: ${theme === 'system' ? 'as the system' : theme}`}
                icon={SunMoon}
                onSelect={then(() => onTheme(theme))}
              />
            ))}
            <Item value="Change your password" icon={UserRound} onSelect={then(() => navigate({ to: '/password' }))} />
            <Item value="Sign out" icon={UserRound} onSelect={then(onSignOut)} />
          </Group>
        </Command.List>
        <p aria-hidden className="hidden gap-4 border-t border-line px-4 py-2 text-xs text-muted sm:flex">
          <span>↑↓ choose</span>
          <span>↵ go</span>
          <span>Esc close</span>
        </p>
      </Command>
    </Modal>
  );
}

function Group({ heading, children }: { heading: string; children: React.ReactNode }) {
  return (
    <Command.Group
      heading={heading}
      className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted"
    >
      {children}
    </Command.Group>
  );
}

/** @param value what is searched; told apart by it, so each has its own */
function Item({
  value,
  label = value,
  icon: Icon,
  note,
  onSelect,
}: {
  value: string;
  label?: string;
  icon: LucideIcon;
  note?: React.ReactNode;
  onSelect: () => void;
}) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex min-h-9 cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-1.5 text-text aria-selected:bg-raised"
    >
      <Icon size={16} aria-hidden className="shrink-0 text-muted" />
      <span className="min-w-0 flex-1 truncate">{label}</span>
      {note}
    </Command.Item>
  );
}
