import { useQuery } from '@tanstack/react-query';
import { Link, useRouterState } from '@tanstack/react-router';
import { ChevronRight } from 'lucide-react';
import type { ReactNode } from 'react';
import { queries } from '../api/queries.ts';
import { places } from './places.ts';

const acts: Readonly<Record<string, string>> = { edit: 'Edit', benchmark: 'Benchmark' };

/** Where one is: the place, what of it is open, and what is done with that. */
export function Breadcrumb() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const [, first = '', second, third] = path.split('/');
  const place = places.find(({ to }) => to === `/${first}`);
  if (place === undefined) return <Crumbs crumbs={[first === 'password' ? 'Password' : 'Nowhere']} />;
  const root = second === undefined ? place.name : <CrumbLink to={place.to}>{place.name}</CrumbLink>;
  if (second === undefined) return <Crumbs crumbs={[root]} />;
  if (second === 'add') return <Crumbs crumbs={[root, 'Add model']} />;
  const name =
    first === 'recipes' ? <RecipeName id={second} /> : <ModelName id={second} isLink={third !== undefined} />;
  return <Crumbs crumbs={third === undefined ? [root, name] : [root, name, acts[third] ?? 'Nowhere']} />;
}

function Crumbs({ crumbs }: { crumbs: readonly ReactNode[] }) {
  return (
    <nav aria-label="Breadcrumb" className="min-w-0">
      <ol className="flex min-w-0 items-center gap-1.5 text-muted">
        {crumbs.map((crumb, at) => {
          const isHere = at === crumbs.length - 1;
          return (
            <li
              // biome-ignore lint/suspicious/noArrayIndexKey: a crumb is told by its place.
              key={at}
              aria-current={isHere ? 'page' : undefined}
              // On narrow screens where one is stands for the whole way.
              className={`min-w-0 items-center gap-1.5 ${isHere ? 'flex font-medium text-text' : 'hidden shrink-0 sm:flex'}`}
            >
              {at === 0 ? null : <ChevronRight size={14} aria-hidden className="hidden shrink-0 text-muted sm:block" />}
              <span className="truncate">{crumb}</span>
            </li>
          );
        })}
      </ol>
    </nav>
  );
}

function CrumbLink({ to, children }: { to: string; children: ReactNode }) {
  return (
    <Link to={to} className="hover:text-text hover:underline">
      {children}
    </Link>
  );
}

function ModelName({ id, isLink }: { id: string; isLink: boolean }) {
  const { data: models } = useQuery(queries.models);
  const name = models?.find((model) => model.id === id)?.name ?? 'Model';
  return isLink ? <CrumbLink to={`/models/${id}`}>{name}</CrumbLink> : name;
}

function RecipeName({ id }: { id: string }) {
  const { data: recipes } = useQuery(queries.recipes);
  return recipes?.find((recipe) => recipe.id === id)?.name ?? 'Recipe';
}
