import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { PanelLeftClose, PanelLeftOpen } from 'lucide-react';
import { type ReactNode, useEffect } from 'react';
import { queries } from '../api/queries.ts';
import { Modal } from '../components/modal.tsx';
import { places } from './places.ts';

/** Folded, the rail shows icons only; their names are read out and shown when pointed at. */
export function Rail({ isFolded, onFold }: { isFolded: boolean; onFold: (isFolded: boolean) => void }) {
  const Fold = isFolded ? PanelLeftOpen : PanelLeftClose;
  const word = isFolded ? 'Unfold the rail' : 'Fold the rail';
  return (
    <nav
      aria-label="Main"
      className={`${isFolded ? 'w-14' : 'w-52'} sticky top-0 hidden h-screen shrink-0 flex-col border-r border-line bg-surface md:flex`}
    >
      <Brand isFolded={isFolded} />
      <Places isFolded={isFolded} />
      <div className={`flex items-center p-2 ${isFolded ? 'justify-center' : 'justify-between pl-4'}`}>
        {isFolded ? null : <Version />}
        <button
          type="button"
          aria-label={word}
          aria-expanded={!isFolded}
          title={word}
          onClick={() => onFold(!isFolded)}
          className={rowClass}
        >
          <Fold size={16} aria-hidden />
        </button>
      </div>
    </nav>
  );
}

/** The rail of narrow screens: over the page, until a place is chosen or it is left. */
export function Drawer({ open, onClose, children }: { open: boolean; onClose: () => void; children: ReactNode }) {
  useEffect(() => {
    if (!open) return;
    // Where there is room for the rail, a drawer left open would keep the page from being used.
    const wide = matchMedia('(min-width: 48rem)');
    wide.addEventListener('change', onClose);
    return () => wide.removeEventListener('change', onClose);
  }, [open, onClose]);
  return (
    <Modal
      title="Menu"
      hidesTitle
      open={open}
      onClose={onClose}
      className="inset-y-0 left-0 flex w-64 max-w-[85vw] flex-col overflow-y-auto border-r"
    >
      <Brand isFolded={false} />
      <nav aria-label="Main" className="flex flex-1 flex-col">
        <Places isFolded={false} onChoose={onClose} />
      </nav>
      {children}
      <p className="px-4 py-3">
        <Version />
      </p>
    </Modal>
  );
}

const rowClass = 'flex h-9 items-center gap-2.5 rounded-md px-2.5 text-muted hover:bg-raised hover:text-text';

function Brand({ isFolded }: { isFolded: boolean }) {
  return (
    <div
      className={`flex h-12 shrink-0 items-center gap-2 text-base font-semibold ${isFolded ? 'justify-center' : 'px-4'}`}
    >
      <img src="/icon.svg" alt={isFolded ? 'Cortex' : ''} className="size-5" />
      {isFolded ? null : 'Cortex'}
    </div>
  );
}

function Version() {
  const { data: me } = useQuery(queries.me);
  return <span className="text-xs text-muted">Cortex {me?.version}</span>;
}

function Places({ isFolded, onChoose }: { isFolded: boolean; onChoose?: () => void }) {
  const { data: me } = useQuery(queries.me);
  return (
    <ul className="flex-1 space-y-0.5 px-2 pt-1">
      {places
        .filter(({ right }) => me?.rights.includes(right))
        .map(({ to, name, icon: Icon }) => (
          <li key={to}>
            <Link
              to={to}
              onClick={() => onChoose?.()}
              title={isFolded ? name : undefined}
              className={`${rowClass} data-[status=active]:bg-raised data-[status=active]:font-medium data-[status=active]:text-text ${isFolded ? 'justify-center' : ''}`}
            >
              <Icon size={16} aria-hidden className="shrink-0" />
              <span className={isFolded ? 'sr-only' : ''}>{name}</span>
            </Link>
          </li>
        ))}
    </ul>
  );
}
