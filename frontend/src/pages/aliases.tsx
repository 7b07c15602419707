import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { Alias, ServedModel } from '../../../contract/routing.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Confirm } from '../components/confirm.tsx';
import { Table } from '../components/page.tsx';
import { shareOf } from './alias-form.tsx';

/** Other names for served names. */
export function Aliases({
  aliases,
  models,
  mayWrite,
}: {
  aliases: readonly Alias[];
  models: readonly ServedModel[];
  mayWrite: boolean;
}) {
  const [deleting, setDeleting] = useState<Alias | null>(null);
  const remove = useMutation({
    mutationFn: (name: string) => call('deleteAlias', { params: { name } }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.routing.queryKey });
      setDeleting(null);
    },
  });
  return (
    <section className="space-y-3" aria-label="Aliases">
      <h2 className="text-base font-semibold">Aliases</h2>
      {aliases.length === 0 ? (
        <p className="text-muted">
          None. An alias is another name for one served name, or shares requests out among several by weight.
        </p>
      ) : (
        <Table label="Aliases" head={[{ name: 'Name' }, { name: 'Goes to' }, { name: 'Actions', right: true }]}>
          {aliases.map((alias) => (
            <tr key={alias.name}>
              <td className="min-w-40 px-3 py-2.5 font-mono text-xs font-medium">{alias.name}</td>
              <td className="px-3 py-2.5">
                <ul className="space-y-0.5">
                  {alias.targets.map((target) => (
                    <li key={target.served_name} className="whitespace-nowrap">
                      <span className="inline-block w-12 pr-2 text-right">{shareOf(target.weight, alias.targets)}</span>
                      <span className="font-mono text-xs">{target.served_name}</span>
                      {models.some(({ served_name: name }) => name === target.served_name) ? null : (
                        <span className="text-xs text-warn"> · not served</span>
                      )}
                    </li>
                  ))}
                </ul>
              </td>
              <td className="px-3 py-2.5">
                {mayWrite ? (
                  <div className="flex justify-end gap-1.5">
                    <Link
                      to="/routing"
                      search={{ alias: alias.name }}
                      className={buttonClass()}
                      aria-label={`Change ${alias.name}`}
                    >
                      Change
                    </Link>
                    <Button look="danger" aria-label={`Delete ${alias.name}`} onClick={() => setDeleting(alias)}>
                      Delete
                    </Button>
                  </div>
                ) : null}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {deleting ? (
        <Confirm
          title={`Delete the alias ${deleting.name}?`}
          description="Programs that ask for this name are refused from now on. What it goes to stays."
          action="Delete"
          error={remove.error}
          busy={remove.isPending}
          onConfirm={() => remove.mutate(deleting.name)}
          onClose={() => {
            remove.reset();
            setDeleting(null);
          }}
        />
      ) : null}
    </section>
  );
}
