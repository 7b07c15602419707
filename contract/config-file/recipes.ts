import { isPredecessorRecipe, readPredecessorRecipe } from '../predecessor/recipe.ts';
import { type ReadRecipe, recipeContent } from '../recipes.ts';
import { configDocument } from './documents.ts';
import { readDocuments } from './text.ts';

const refused = (name: string, field: string, message: string): ReadRecipe => ({
  name,
  note: '',
  content: null,
  notes: [{ field, outcome: 'refused', to: null, message }],
});

/** The recipes of a text, ours or of the Python Cortex; what can't be read is among them, with the reason. */
export function readRecipes(text: string): ReadRecipe[] {
  const { documents, faults } = readDocuments(text);
  const wrong = faults.map(({ line, message }) => refused(`line ${line}`, '', message));
  // Its list of recipes is one document.
  return [...wrong, ...documents.flatMap(({ value }) => (Array.isArray(value) ? value : [value]).map(readOne))];
}

function readOne(value: unknown, index: number): ReadRecipe {
  if (isPredecessorRecipe(value)) return readPredecessorRecipe(value);
  const read = configDocument.safeParse(value);
  const name = String(Object(value).name ?? `document ${index + 1}`);
  if (!read.success) {
    const notes = read.error.issues.map(({ path, message }) => ({
      ...{ field: path.join('.'), outcome: 'refused' as const, to: null, message },
    }));
    return { name, note: '', content: null, notes };
  }
  const document = read.data;
  if (document.kind !== 'Recipe') return refused(name, 'kind', 'This is a model: cortex apply -f makes it.');
  const content = recipeContent.safeParse(contentFields(document));
  if (!content.success) {
    const [issue] = content.error.issues;
    return refused(name, issue?.path.join('.') ?? '', issue?.message ?? 'not valid');
  }
  return { name: document.name, note: document.note ?? '', content: content.data, notes: [] };
}

/** What of a document a recipe keeps. A reference to a secret is no value of it, and refused. */
function contentFields(document: object): Record<string, unknown> {
  const { apiVersion: _a, kind: _k, name: _n, note: _t, ...fields } = document as Record<string, unknown>;
  return fields;
}
