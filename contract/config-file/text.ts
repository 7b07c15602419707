import { LineCounter, parseAllDocuments, stringify } from 'yaml';
import { type Extras, hidden, hiddenFields } from '../hidden.ts';
import type { Model } from '../models.ts';
import type { OnDemandSettings } from '../on-demand.ts';
import type { RecipeContent } from '../recipes.ts';
import { apiVersion } from './documents.ts';

/** One document as it stands in a text, not checked yet. */
export interface RawDocument {
  readonly line: number;
  readonly value: unknown;
}

export interface TextFault {
  readonly line: number;
  readonly message: string;
}

/** The documents of a text in YAML or JSON. Empty ones are left out; a text that is at fault has none. */
export function readDocuments(text: string): { documents: RawDocument[]; faults: TextFault[] } {
  const lineCounter = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
  const all = Array.isArray(parsed) ? parsed : [];
  const faults = all.flatMap(({ errors, warnings }) =>
    [...errors, ...warnings].map(({ pos, message }) => ({ line: lineCounter.linePos(pos[0]).line, message })),
  );
  if (faults.length > 0) return { documents: [], faults };
  const documents: RawDocument[] = [];
  for (const document of all) {
    const line = lineCounter.linePos(document.contents?.range?.[0] ?? 0).line;
    try {
      const value: unknown = document.toJS({ maxAliasCount: 100 });
      if (value !== null) documents.push({ line, value });
    } catch (error) {
      faults.push({ line, message: error instanceof Error ? error.message : String(error) });
    }
  }
  return { documents: faults.length > 0 ? [] : documents, faults };
}

/** Without what is left to the engine. */
const given = (options: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(options).filter(([, value]) => {
      if (value === null || value === undefined) return false;
      return typeof value !== 'object' || Object.keys(value).length > 0;
    }),
  );

function write(
  document: Readonly<Record<string, unknown>>,
  options: Extras & Readonly<Record<string, unknown>>,
): string {
  const secrets = hiddenFields(options);
  const said = Object.entries(document).filter(([, value]) => value !== null && value !== '');
  const leftOut = secrets.length === 0 ? '' : `# Left out, and written ${hidden} here: ${secrets.join(', ')}\n`;
  return `${leftOut}${stringify({ ...Object.fromEntries(said), options: given(options) }, { lineWidth: 0 })}`;
}

/** A recipe as a document. */
export function recipeText({ name, note, content }: { name: string; note: string; content: RecipeContent }): string {
  const { engine, task, model_name, served_name, folder, file, options } = content;
  const fields = { engine, task, model_name, served_name, folder, file };
  return write({ apiVersion, kind: 'Recipe', name, note, ...fields }, options);
}

/** A model as a document that changes nothing when it is applied. */
export function modelText({ options, ...model }: Model, onDemand: OnDemandSettings | null): string {
  const { served_name, name, engine, task, folder, file, replicas, wanted } = model;
  const fields = { served_name, name, engine, task, folder, file, replicas, on_demand: onDemand, wanted };
  return write({ apiVersion, kind: 'Model', ...fields }, options);
}
