import { useQuery } from '@tanstack/react-query';
import { type UsageRecord, usageOutcome } from '../../../contract/usage.ts';
import { usageQueries } from '../api/usage-queries.ts';
import { Select } from '../components/choice.tsx';
import type { UsageRange } from '../usage-range.ts';

interface Chosen {
  readonly model?: string | undefined;
  readonly key?: string | undefined;
  readonly outcome?: UsageRecord['outcome'] | undefined;
}

/** Offers what the range has, and what is chosen already even if the range does not have it. */
export function UsageFilters({
  range,
  search,
  onChange,
}: {
  range: UsageRange;
  search: Chosen;
  onChange: (change: Chosen) => void;
}) {
  const { data } = useQuery(usageQueries.summary(range, {}));
  const models = withChosen(data?.models ?? [], search.model);
  const keys = withChosen(data?.keys ?? [], search.key);
  return (
    <>
      <Select label="Model" all="All models" value={search.model ?? ''} onChange={(model) => onChange({ model })}>
        {models.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </Select>
      <Select label="API key" all="All keys" value={search.key ?? ''} onChange={(key) => onChange({ key })}>
        {keys.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </Select>
      <Select
        label="Outcome"
        all="All outcomes"
        value={search.outcome ?? ''}
        onChange={(outcome) => onChange({ outcome: usageOutcome.options.find((one) => one === outcome) })}
      >
        {usageOutcome.options.map((outcome) => (
          <option key={outcome} value={outcome}>
            {outcome.replace('_', ' ')}
          </option>
        ))}
      </Select>
    </>
  );
}

function withChosen(
  found: readonly { id: string; name: string }[],
  chosen: string | undefined,
): readonly { id: string; name: string }[] {
  // Without an id (the playground has no key) there is nothing to filter by.
  const named = found.filter(({ id }) => id !== '');
  return chosen === undefined || named.some(({ id }) => id === chosen)
    ? named
    : [...named, { id: chosen, name: chosen }];
}
