import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { CloudOff, LoaderCircle, LogOut, Menu, Monitor, Moon, Search, Sun, Unplug } from 'lucide-react';
import { type ReactNode, useSyncExternalStore } from 'react';
import { connection } from '../api/client.ts';
import { queries } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { type Theme, themes } from '../theme.ts';
import { Breadcrumb } from './breadcrumb.tsx';
import { useJobCount } from './job-count.ts';

/** @param onReach the commands are about to be opened */
export function TopLine({
  onOpen,
  onReach,
  children,
}: {
  onOpen: (over: 'menu' | 'palette' | 'jobs') => void;
  onReach: () => void;
  children: ReactNode;
}) {
  const { data: me } = useQuery(queries.me);
  return (
    <header className="sticky top-0 z-[5] flex h-12 items-center gap-2 border-b border-line bg-surface px-3 md:px-6">
      <Button look="quiet" className="px-2 md:hidden" aria-label="Menu" onClick={() => onOpen('menu')}>
        <Menu size={16} aria-hidden />
      </Button>
      <Breadcrumb />
      <span className="flex-1" />
      <Connection />
      <JobsButton onOpen={() => onOpen('jobs')} />
      {me?.offline_mode ? <OfflineBadge mayRead={me.rights.includes('system:read')} /> : null}
      <button
        type="button"
        aria-keyshortcuts="Control+K"
        onPointerEnter={onReach}
        onFocus={onReach}
        onClick={() => onOpen('palette')}
        className="flex h-8 shrink-0 items-center gap-2 rounded-md border border-line px-2 text-muted hover:bg-raised hover:text-text lg:w-64"
      >
        <Search size={14} aria-hidden />
        <span className="sr-only flex-1 text-left lg:not-sr-only lg:whitespace-nowrap">Search and commands</span>
        <kbd className="hidden font-sans text-xs whitespace-nowrap lg:inline">Ctrl K</kbd>
      </button>
      {children}
    </header>
  );
}

const badgeClass =
  'flex h-7 shrink-0 items-center gap-1.5 rounded-full border border-line px-2.5 text-xs text-muted whitespace-nowrap';

function OfflineBadge({ mayRead }: { mayRead: boolean }) {
  const inside = (
    <>
      <CloudOff size={14} aria-hidden />
      offline<span className="hidden sm:inline"> mode</span>
    </>
  );
  return mayRead ? (
    <Link
      to="/system"
      title="Nothing is pulled or downloaded; the System page says why"
      className={`${badgeClass} hover:bg-raised hover:text-text`}
    >
      {inside}
    </Link>
  ) : (
    <span title="Nothing is pulled or downloaded" className={badgeClass}>
      {inside}
    </span>
  );
}

function JobsButton({ onOpen }: { onOpen: () => void }) {
  const count = useJobCount();
  const words = count === 1 ? '1 job' : `${count} jobs`;
  return (
    <span role="status" className="shrink-0">
      {count === 0 ? null : (
        <button
          type="button"
          title="What is under way"
          onClick={onOpen}
          className={`${badgeClass} hover:bg-raised hover:text-text`}
        >
          <LoaderCircle size={14} aria-hidden className="text-accent motion-safe:animate-spin" />
          {words}
        </button>
      )}
    </span>
  );
}

/** Told by the calls that pages make anyway. */
function Connection() {
  const isThere = useSyncExternalStore(
    (onChange) => {
      connection.addEventListener('change', onChange);
      return () => connection.removeEventListener('change', onChange);
    },
    () => connection.isThere,
  );
  return (
    <span role="status" className="shrink-0">
      {isThere ? null : (
        <span
          className={`${badgeClass} border-bad/50 font-medium text-bad`}
          title="The server does not answer; it is asked again and again. What is shown may be out of date."
        >
          <Unplug size={14} aria-hidden />
          no connection
        </span>
      )}
    </span>
  );
}

const themeIcons = { system: Monitor, light: Sun, dark: Moon };

export function ThemeButton({ theme, onChange }: { theme: Theme; onChange: (theme: Theme) => void }) {
  const Icon = themeIcons[theme];
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system';
  return (
    <Button
      look="quiet"
      className="px-2"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={() => onChange(next)}
    >
      <Icon size={16} aria-hidden />
    </Button>
  );
}

export function UserMenu({ username, onSignOut }: { username: string; onSignOut: () => void }) {
  return (
    <span className="flex items-center">
      <Link
        to="/password"
        title="Change your password"
        className="max-w-40 truncate rounded-md px-2 py-1.5 text-muted hover:bg-raised hover:text-text"
      >
        {username}
      </Link>
      <Button look="quiet" className="px-2" aria-label="Sign out" title="Sign out" onClick={onSignOut}>
        <LogOut size={16} aria-hidden />
      </Button>
    </span>
  );
}
