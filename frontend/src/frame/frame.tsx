import { useQuery } from '@tanstack/react-query';
import { Outlet, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useEffect, useState } from 'react';
import { call } from '../api/client.ts';
import { useLiveModels } from '../api/model-events.ts';
import { queries, queryClient } from '../api/queries.ts';
import { applyTheme, readTheme, type Theme } from '../theme.ts';
import { Drawer, Rail } from './rail.tsx';
import { ThemeButton, TopLine, UserMenu } from './top-line.tsx';

const loadPalette = () => import('./palette.tsx');
const Palette = lazy(() => loadPalette().then((module) => ({ default: module.Palette })));
const Jobs = lazy(() => import('./jobs.tsx').then((module) => ({ default: module.Jobs })));

const foldedKey = 'rail-folded';

/** The rail, the top line and the page; over them, when asked for, the menu, the commands or what is under way. */
export function Frame() {
  const { data: me } = useQuery(queries.me);
  const [over, setOver] = useState<'menu' | 'palette' | 'jobs' | null>(null);
  const [isFolded, setFolded] = useState(() => localStorage.getItem(foldedKey) !== null);
  const [theme, setTheme] = useState(readTheme);
  const navigate = useNavigate();
  const close = useCallback(() => setOver(null), []);
  useLiveModels(me?.rights.includes('models:read') ?? false);
  useEffect(() => {
    const open = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey)
        return;
      event.preventDefault();
      setOver((before) => (before === 'palette' ? null : 'palette'));
    };
    addEventListener('keydown', open);
    return () => removeEventListener('keydown', open);
  }, []);
  const fold = (next: boolean) => {
    if (next) localStorage.setItem(foldedKey, 'yes');
    else localStorage.removeItem(foldedKey);
    setFolded(next);
  };
  const changeTheme = (next: Theme) => {
    applyTheme(next);
    setTheme(next);
  };
  const signOut = async () => {
    await call('logout').catch(() => undefined);
    queryClient.clear();
    await navigate({ to: '/sign-in' });
  };
  const user = <UserMenu username={me?.user.username ?? ''} onSignOut={() => void signOut()} />;
  return (
    <div className="flex min-h-screen">
      <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-40 focus:bg-surface focus:p-2">
        Skip to the page
      </a>
      <Rail isFolded={isFolded} onFold={fold} />
      <Drawer open={over === 'menu'} onClose={close}>
        <div className="flex items-center justify-between border-t border-line px-2 py-2 sm:hidden">
          {user}
          <ThemeButton theme={theme} onChange={changeTheme} />
        </div>
      </Drawer>
      <div className="flex min-w-0 flex-1 flex-col">
        <TopLine onOpen={setOver} onReach={() => void loadPalette()}>
          <span className="hidden items-center sm:flex">
            <ThemeButton theme={theme} onChange={changeTheme} />
            {user}
          </span>
        </TopLine>
        <main id="page" className="min-w-0 flex-1">
          <Outlet />
        </main>
      </div>
      <Suspense>
        {over === 'palette' ? (
          <Palette
            isFolded={isFolded}
            onFold={fold}
            onTheme={changeTheme}
            onSignOut={() => void signOut()}
            onClose={close}
          />
        ) : null}
        {over === 'jobs' ? <Jobs onClose={close} /> : null}
      </Suspense>
    </div>
  );
}
