import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { UsageFilter } from '../../../contract/usage.ts';
import type { UsageGroup } from '../../../contract/usage-analytics.ts';
import { rangeOf, type UsageRange } from '../usage-range.ts';
import { call } from './client.ts';

type Filter = Pick<UsageFilter, 'model' | 'key_id' | 'outcome'>;
/** In the sums of a month a few seconds change nothing. */
const everyMs = (range: UsageRange): number => (range === '24h' ? 10_000 : 60_000);

/** The range is worked out when it is asked, so that it goes on with the time. */
export const usageQueries = {
  series: (range: UsageRange, group: UsageGroup, filter: Filter) =>
    queryOptions({
      queryKey: ['usage', 'series', range, group, filter],
      queryFn: () => call('usageSeries', { query: { ...rangeOf(range), ...filter, group } }),
      refetchInterval: everyMs(range),
      placeholderData: keepPreviousData,
    }),
  summary: (range: UsageRange, filter: Filter) =>
    queryOptions({
      queryKey: ['usage', 'summary', range, filter],
      queryFn: () => call('usageSummary', { query: { ...rangeOf(range), ...filter } }),
      refetchInterval: everyMs(range),
      placeholderData: keepPreviousData,
    }),
  requests: (range: UsageRange, filter: Filter) =>
    infiniteQueryOptions({
      queryKey: ['usage', 'requests', range, filter],
      queryFn: ({ pageParam }) =>
        call('listUsage', {
          query: {
            limit: 50,
            from: rangeOf(range).from,
            ...filter,
            ...(pageParam === null ? {} : { cursor: pageParam }),
          },
        }),
      initialPageParam: null as string | null,
      getNextPageParam: (page) => page.next_cursor,
      // Someone who reads further down is not to be moved.
      refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) > 1 ? false : everyMs(range)),
      placeholderData: keepPreviousData,
    }),
};
