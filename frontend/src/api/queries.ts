import { QueryClient, queryOptions } from '@tanstack/react-query';
import type { ModelState } from '../../../contract/models.ts';
import { ApiError, call } from './client.ts';

export const queryClient = new QueryClient({
  defaultOptions: {
    // What the browser thinks of the network does not count: the server may be on this very machine.
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      staleTime: 5_000,
    },
  },
});

export const queries = {
  me: queryOptions({ queryKey: ['me'], queryFn: () => call('me'), staleTime: 60_000, retry: false }),
  models: queryOptions({
    queryKey: ['models'],
    queryFn: async () => (await call('listModels')).models,
    refetchInterval: 15_000,
  }),
  /** The state is part of the key: a model that became ready has something new to tell. */
  memory: (id: string, state: ModelState) =>
    queryOptions({ queryKey: ['memory', id, state], queryFn: () => call('modelMemory', { params: { id } }) }),
  benchmarks: (modelId: string) =>
    queryOptions({
      queryKey: ['benchmarks', modelId],
      queryFn: async () => (await call('listBenchmarks', { params: { id: modelId } })).benchmarks,
      refetchInterval: ({ state }) => (state.data?.some((one) => one.state === 'running') ? 1_000 : 10_000),
    }),
  gpus: queryOptions({ queryKey: ['gpus'], queryFn: () => call('listGpus'), refetchInterval: 10_000 }),
  folders: queryOptions({ queryKey: ['folders'], queryFn: () => call('listFolders'), staleTime: 0 }),
  folder: (folder: string) =>
    queryOptions({
      queryKey: ['folder', folder],
      queryFn: () => call('inspectFolder', { query: { folder } }),
      staleTime: 0,
    }),
  keys: queryOptions({ queryKey: ['keys'], queryFn: async () => (await call('listKeys')).keys }),
  recipes: queryOptions({ queryKey: ['recipes'], queryFn: async () => (await call('listRecipes')).recipes }),
  recipe: (id: string, version?: number) =>
    queryOptions({
      queryKey: ['recipes', id, version ?? 'newest'],
      queryFn: () => call('getRecipe', { params: { id }, query: { version } }),
    }),
  recipeDiff: (id: string, from: number, to: number) =>
    queryOptions({
      queryKey: ['recipes', id, from, to],
      queryFn: async () => (await call('diffRecipe', { params: { id }, query: { from, to } })).changes,
    }),
  inspector: queryOptions({
    queryKey: ['inspector'],
    queryFn: () => call('getInspector'),
    refetchInterval: 2_000,
  }),
  inspected: (requestId: string) =>
    queryOptions({
      queryKey: ['inspected', requestId],
      queryFn: () => call('inspectedRequest', { params: { request_id: requestId } }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  routing: queryOptions({ queryKey: ['routing'], queryFn: () => call('getRouting'), refetchInterval: 5_000 }),
  limits: queryOptions({ queryKey: ['limits'], queryFn: async () => (await call('listLimits')).subjects }),
  imagePulls: queryOptions({
    queryKey: ['image-pulls'],
    queryFn: async () => (await call('listImagePulls')).pulls,
    // A model that begins to pull is heard of at once (api/model-events.ts).
    refetchInterval: ({ state }) => (state.data?.length ? 1_000 : 10_000),
  }),
  downloads: queryOptions({
    queryKey: ['downloads'],
    queryFn: () => call('listDownloads'),
    refetchInterval: ({ state }) => (state.data?.downloads.some((one) => one.state === 'downloading') ? 1_000 : 10_000),
  }),
  summary: queryOptions({ queryKey: ['summary'], queryFn: () => call('systemSummary'), refetchInterval: 10_000 }),
  images: queryOptions({ queryKey: ['images'], queryFn: () => call('dockerImages'), refetchInterval: 30_000 }),
};
