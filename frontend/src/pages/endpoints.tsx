import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { EndpointRecord, ServedModel } from '../../../contract/routing.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Confirm } from '../components/confirm.tsx';
import { Table } from '../components/page.tsx';

/** Servers that Cortex did not start. */
export function Endpoints({
  endpoints,
  models,
  mayWrite,
}: {
  endpoints: readonly EndpointRecord[];
  models: readonly ServedModel[];
  mayWrite: boolean;
}) {
  const [removing, setRemoving] = useState<EndpointRecord | null>(null);
  const remove = useMutation({
    mutationFn: (id: string) => call('deleteEndpoint', { params: { id } }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.routing.queryKey });
      setRemoving(null);
    },
  });
  const others = (endpoint: EndpointRecord) =>
    (models.find(({ served_name: name }) => name === endpoint.served_name)?.replicas.length ?? 1) - 1;
  return (
    <section className="space-y-3" aria-label="External endpoints">
      <h2 className="text-base font-semibold">External endpoints</h2>
      {endpoints.length === 0 ? (
        <p className="text-muted">
          None. An OpenAI-compatible server elsewhere on your network can answer for a name, alone or beside models
          here.
        </p>
      ) : (
        <Table
          label="External endpoints"
          head={[
            { name: 'Name' },
            { name: 'Answers for' },
            { name: 'Address' },
            { name: 'Key' },
            { name: 'Actions', right: true },
          ]}
        >
          {endpoints.map((endpoint) => (
            <tr key={endpoint.id}>
              <td className="px-3 py-2.5 font-medium whitespace-nowrap">{endpoint.name}</td>
              <td className="min-w-40 px-3 py-2.5 font-mono text-xs">
                <p>{endpoint.served_name}</p>
                {endpoint.upstream_model === null ? null : (
                  <p className="text-muted" title="What that server calls the model">
                    there: {endpoint.upstream_model}
                  </p>
                )}
              </td>
              <td className="px-3 py-2.5 font-mono text-xs">
                <p>{endpoint.url}</p>
                {endpoint.ca === null ? null : <p className="font-sans text-muted">with a TLS authority of its own</p>}
              </td>
              <td className="px-3 py-2.5">{endpoint.has_api_key ? 'set' : <span className="text-muted">none</span>}</td>
              <td className="px-3 py-2.5">
                {mayWrite ? (
                  <div className="flex justify-end gap-1.5">
                    <Link
                      to="/routing"
                      search={{ endpoint: endpoint.id }}
                      className={buttonClass()}
                      aria-label={`Change ${endpoint.name}`}
                    >
                      Change
                    </Link>
                    <Button look="danger" aria-label={`Remove ${endpoint.name}`} onClick={() => setRemoving(endpoint)}>
                      Remove
                    </Button>
                  </div>
                ) : null}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {removing ? (
        <Confirm
          title={`Remove ${removing.name}?`}
          description={
            others(removing) > 0
              ? `Requests for ${removing.served_name} go to its other replicas only. The key that is kept is lost.`
              : `Nothing else answers for ${removing.served_name}: programs that ask for it are refused. The key that is kept is lost.`
          }
          action="Remove"
          error={remove.error}
          busy={remove.isPending}
          onConfirm={() => remove.mutate(removing.id)}
          onClose={() => {
            remove.reset();
            setRemoving(null);
          }}
        />
      ) : null}
    </section>
  );
}
