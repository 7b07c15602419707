import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import {
  Activity,
  Boxes,
  Gauge,
  KeyRound,
  LogOut,
  Menu,
  MessageSquare,
  Monitor,
  Moon,
  NotebookText,
  ScanSearch,
  Server,
  Sun,
  Waypoints,
} from 'lucide-react';
import { useState } from 'react';
import type { Right } from '../../contract/rights.ts';
import { call } from './api/client.ts';
import { queries, queryClient } from './api/queries.ts';
import { Button } from './components/button.tsx';
import { applyTheme, readTheme, themes } from './theme.ts';

const places: readonly {
  to: '/models' | '/recipes' | '/routing' | '/playground' | '/keys' | '/limits' | '/usage' | '/inspector' | '/system';
  name: string;
  icon: typeof Boxes;
  right: Right;
}[] = [
  { to: '/models', name: 'Models', icon: Boxes, right: 'models:read' },
  { to: '/recipes', name: 'Recipes', icon: NotebookText, right: 'models:write' },
  { to: '/routing', name: 'Routing', icon: Waypoints, right: 'models:write' },
  { to: '/playground', name: 'Playground', icon: MessageSquare, right: 'chat' },
  { to: '/keys', name: 'API keys', icon: KeyRound, right: 'keys:read' },
  { to: '/limits', name: 'Limits', icon: Gauge, right: 'keys:read' },
  { to: '/usage', name: 'Usage', icon: Activity, right: 'usage:read' },
  { to: '/inspector', name: 'Inspector', icon: ScanSearch, right: 'requests:inspect' },
  { to: '/system', name: 'System', icon: Server, right: 'system:read' },
];

const themeIcons = { system: Monitor, light: Sun, dark: Moon };

/** The rail, the top line and the page. */
export function Frame() {
  const { data: me } = useQuery(queries.me);
  const [open, setOpen] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const here = places.find(({ to }) => path.startsWith(to))?.name ?? 'Cortex';
  return (
    <div className="flex min-h-screen">
      <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-40 focus:bg-surface focus:p-2">
        Skip to the page
      </a>
      <nav
        aria-label="Main"
        className={`${open ? 'fixed inset-y-0 left-0 z-20 flex shadow-xl' : 'hidden'} w-52 shrink-0 flex-col border-r border-line bg-surface md:sticky md:top-0 md:flex md:h-screen`}
      >
        <div className="flex h-12 items-center gap-2 px-4 text-base font-semibold">
          <img src="/icon.svg" alt="" className="size-5" />
          Cortex
        </div>
        <ul className="flex-1 space-y-0.5 px-2">
          {places
            .filter(({ right }) => me?.rights.includes(right))
            .map(({ to, name, icon: Icon }) => (
              <li key={to}>
                <Link
                  to={to}
                  onClick={() => setOpen(false)}
                  className="flex h-9 items-center gap-2.5 rounded-md px-2.5 text-muted hover:bg-raised hover:text-text data-[status=active]:bg-raised data-[status=active]:font-medium data-[status=active]:text-text"
                >
                  <Icon size={16} aria-hidden />
                  {name}
                </Link>
              </li>
            ))}
        </ul>
        <p className="px-4 py-3 text-xs text-muted">Cortex {me?.version}</p>
      </nav>
      {open ? (
        <button
          type="button"
          aria-label="Close the menu"
          className="fixed inset-0 z-10 bg-black/40 md:hidden"
          onClick={() => setOpen(false)}
        />
      ) : null}
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="sticky top-0 z-[5] flex h-12 items-center gap-3 border-b border-line bg-surface px-3 md:px-6">
          <Button look="quiet" className="md:hidden" aria-label="Menu" onClick={() => setOpen(true)}>
            <Menu size={16} aria-hidden />
          </Button>
          <span className="font-medium">{here}</span>
          <span className="flex-1" />
          {me?.offline_mode ? (
            <span
              title="Images are not pulled; the System page says why"
              className="rounded-full border border-line px-2.5 py-0.5 text-xs text-muted"
            >
              offline mode
            </span>
          ) : null}
          <ThemeButton />
          <UserMenu username={me?.user.username ?? ''} />
        </header>
        <main id="page" className="min-w-0 flex-1">
          <Outlet />
        </main>
      </div>
    </div>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState(readTheme);
  const Icon = themeIcons[theme];
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system';
  return (
    <Button
      look="quiet"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={() => {
        applyTheme(next);
        setTheme(next);
      }}
    >
      <Icon size={16} aria-hidden />
    </Button>
  );
}

function UserMenu({ username }: { username: string }) {
  const navigate = useNavigate();
  const signOut = async () => {
    await call('logout').catch(() => undefined);
    queryClient.clear();
    await navigate({ to: '/sign-in' });
  };
  return (
    <div className="flex items-center gap-1">
      <span className="hidden text-muted sm:inline">{username}</span>
      <Button look="quiet" aria-label="Sign out" title="Sign out" onClick={() => void signOut()}>
        <LogOut size={16} aria-hidden />
      </Button>
    </div>
  );
}
