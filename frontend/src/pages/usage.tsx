import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Download } from 'lucide-react';
import type { UsageFilter } from '../../../contract/usage.ts';
import { searchOf } from '../api/client.ts';
import { usageQueries } from '../api/usage-queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Segments } from '../components/choice.tsx';
import { Empty, Failure, Page, Skeleton } from '../components/page.tsx';
import { rangeName, rangeOf, rangeWords, type UsageRange, usageRanges } from '../usage-range.ts';
import { UsageFilters } from './usage-filters.tsx';
import { UsageOverTime } from './usage-over-time.tsx';
import { UsageRequests } from './usage-requests.tsx';
import { UsageFigures, UsageRanking } from './usage-summary.tsx';

/** Who used what, how much and how fast; every choice is in the address. */
export function Usage() {
  const search = useSearch({ from: '/inside/usage' });
  const navigate = useNavigate({ from: '/usage' });
  const range = search.range ?? '24h';
  const filter: Pick<UsageFilter, 'model' | 'key_id' | 'outcome'> = {
    ...(search.model === undefined ? {} : { model: search.model }),
    ...(search.key === undefined ? {} : { key_id: search.key }),
    ...(search.outcome === undefined ? {} : { outcome: search.outcome }),
  };
  const isFiltered = Object.keys(filter).length > 0;
  const summary = useQuery(usageQueries.summary(range, filter));
  const choose = (change: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const requests = summary.data?.totals.requests;

  return (
    <Page
      title="Usage"
      lead={`Requests and tokens of ${rangeWords(range)}.`}
      actions={<ExportLinks range={range} filter={filter} />}
    >
      <div className="flex flex-wrap items-center gap-2">
        <Segments
          label="Time"
          value={range}
          options={usageRanges.map((one) => [one, rangeName(one)] as const)}
          onChange={(next) => choose({ range: next === '24h' ? undefined : next })}
        />
        <UsageFilters range={range} search={search} onChange={choose} />
      </div>
      {summary.isPending ? <Skeleton /> : null}
      {summary.isError ? <Failure error={summary.error} retry={() => void summary.refetch()} /> : null}
      {summary.data && requests === 0 ? (
        isFiltered ? (
          <Empty
            title="No request matches"
            action={
              <Button onClick={() => choose({ model: undefined, key: undefined, outcome: undefined })}>
                Show all requests
              </Button>
            }
          >
            There is none like that in {rangeWords(range)}.
          </Empty>
        ) : (
          <Empty
            title={`No request yet in ${rangeWords(range)}`}
            action={
              range === '1y' ? undefined : (
                <Button onClick={() => choose({ range: '1y' })}>Look at the last year</Button>
              )
            }
          >
            Each request to /v1 is counted here: who asked, which model, how many tokens, how long.
          </Empty>
        )
      ) : null}
      {summary.data && requests !== 0 ? (
        <>
          <UsageFigures summary={summary.data} />
          <UsageOverTime range={range} filter={filter} split={search.split} show={search.show} onChange={choose} />
          <div className="grid gap-3 lg:grid-cols-2">
            <UsageRanking title="Models" rows={summary.data.models} onChoose={(model) => choose({ model })} />
            <UsageRanking title="API keys" rows={summary.data.keys} onChoose={(key) => choose({ key })} />
          </div>
          <UsageRequests
            range={range}
            filter={filter}
            opened={search.request}
            onOpen={(request) => choose({ request })}
          />
        </>
      ) : null}
    </Page>
  );
}

function ExportLinks({
  range,
  filter,
}: {
  range: UsageRange;
  filter: Pick<UsageFilter, 'model' | 'key_id' | 'outcome'>;
}) {
  const query = searchOf({ ...filter, from: rangeOf(range).from });
  return (
    <>
      <a
        className={buttonClass()}
        href={`/admin/usage/export.csv?${query}`}
        title="All single requests of this view, as a table"
        download
      >
        <Download size={14} aria-hidden />
        CSV
      </a>
      <a
        className={buttonClass()}
        href={`/admin/usage/export.ndjson?${query}`}
        title="All single requests of this view, one JSON object a line"
        download
      >
        <Download size={14} aria-hidden />
        NDJSON
      </a>
    </>
  );
}
