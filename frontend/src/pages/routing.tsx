import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';
import type { RouteResponse, Routes } from '../../../contract/routes.ts';
import { queries } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Empty, Failure, Page, Skeleton } from '../components/page.tsx';
import { AliasForm } from './alias-form.tsx';
import { Aliases } from './aliases.tsx';
import { EndpointForm } from './endpoint-form.tsx';
import { Endpoints } from './endpoints.tsx';
import { ServedNames } from './served-names.tsx';
import { ServingForm } from './serving-form.tsx';

type Overview = RouteResponse<Routes['getRouting']>;

/** Which engine answers which name, and how; what is being changed is in the address. */
export function Routing() {
  const routing = useQuery(queries.routing);
  const { data: me } = useQuery(queries.me);
  const navigate = useNavigate({ from: '/routing' });
  const mayWrite = me?.rights.includes('models:write') ?? false;
  const { data } = routing;
  const isEmpty = data !== undefined && [data.models, data.endpoints, data.aliases].every(({ length }) => length === 0);
  const add = mayWrite ? (
    <>
      <Button onClick={() => void navigate({ search: { add: 'alias' } })}>
        <Plus size={16} aria-hidden />
        New alias
      </Button>
      <Button look="primary" onClick={() => void navigate({ search: { add: 'endpoint' } })}>
        <Plus size={16} aria-hidden />
        Add endpoint
      </Button>
    </>
  ) : null;
  return (
    <Page
      title="Routing"
      lead="Which engine answers which name, and how requests for it are treated."
      actions={data !== undefined && !isEmpty ? add : null}
    >
      {routing.isPending ? <Skeleton /> : null}
      {routing.isError ? <Failure error={routing.error} retry={() => void routing.refetch()} /> : null}
      {isEmpty ? (
        <Empty
          title="Nothing to route yet"
          action={
            mayWrite ? (
              <div className="flex flex-wrap justify-center gap-2">
                <Link to="/models/add" className={buttonClass('primary')}>
                  Add model
                </Link>
                <Button onClick={() => void navigate({ search: { add: 'endpoint' } })}>Add endpoint</Button>
              </div>
            ) : null
          }
        >
          Routing gives each name that programs ask for its engines (models here and servers elsewhere), other names,
          substitutes, queues, timeouts and rules for parameters.
        </Empty>
      ) : null}
      {data !== undefined && !isEmpty ? (
        <>
          <ServedNames models={data.models} serving={data.serving} limits={data.limits} mayWrite={mayWrite} />
          <Endpoints endpoints={data.endpoints} models={data.models} mayWrite={mayWrite} />
          <Aliases aliases={data.aliases} models={data.models} mayWrite={mayWrite} />
        </>
      ) : null}
      {data !== undefined && mayWrite ? <Opened overview={data} /> : null}
    </Page>
  );
}

/** The dialog that the address names. */
function Opened({ overview }: { overview: Overview }) {
  const { add, alias, endpoint, serving } = useSearch({ from: '/inside/routing' });
  const navigate = useNavigate({ from: '/routing' });
  const close = () => void navigate({ search: {} });
  const names = overview.models.map(({ served_name: name }) => name);
  if (serving !== undefined)
    return (
      <ServingForm
        key={serving}
        servedName={serving}
        before={overview.serving[serving]}
        names={names}
        onClose={close}
      />
    );
  const openedEndpoint = overview.endpoints.find(({ id }) => id === endpoint);
  if (openedEndpoint !== undefined || add === 'endpoint')
    return <EndpointForm before={openedEndpoint} names={names} onClose={close} />;
  const openedAlias = overview.aliases.find(({ name }) => name === alias);
  if (openedAlias !== undefined || add === 'alias')
    return <AliasForm before={openedAlias} names={names} onClose={close} />;
  return null;
}
