import { realpath } from 'node:fs/promises';
import type { FileRemark, FolderInspection } from '../../../contract/models.ts';
import { type FolderFiles, filesOfFolder, mostFilesOfFolder, resolveFolder } from './folder-files.ts';
import { type EngineVersions, FolderOffers } from './folder-offers.ts';
import { ModelFileError } from './formats/byte-source.ts';
import { provenanceOf } from './provenance.ts';

const unknownVersions: EngineVersions = { vllm: null, llamacpp: null };

/**
 * What a folder holds and which engine can run it.
 * @param known what was read before
 * @throws CortexError folder_not_found, folder_outside
 */
export async function inspectModelFolder(
  root: string,
  folder: string,
  versions: EngineVersions = unknownVersions,
  known: FolderOffers = new FolderOffers(),
): Promise<FolderInspection> {
  const path = await resolveFolder(root, folder);
  const realRoot = await realpath(root);
  const { files, leaving, isCut, fault } = await lookInto(path, realRoot);
  const offers = await known.of(path, files, folder.split('/').at(-1) ?? folder, versions);
  const candidates = offers.flatMap((offer) => offer.candidates);
  const notes = offers.flatMap((offer) => offer.notes);
  const problems: FileRemark[] = [
    ...leaving.map((file) => ({ file, message: leavingMessage })),
    ...offers.flatMap((offer) => offer.problems),
  ];
  if (fault !== null) problems.push({ file: null, message: fault });
  if (isCut) {
    const message = `This folder has more than ${mostFilesOfFolder.toLocaleString('en')} files; those beyond were not looked at.`;
    problems.push({ file: null, message });
  }
  if (candidates.length + problems.length + notes.length === 0)
    problems.push({ file: null, message: emptyMessage(files.map(({ name }) => name)) });
  const license = offers.find((offer) => offer.license !== null)?.license ?? null;
  return {
    folder,
    candidates,
    problems,
    notes,
    files: files.map(({ name, sizeBytes }) => ({ name, sizeBytes })),
    ...(await provenanceOf(path, realRoot, files, license)),
  };
}

async function lookInto(path: string, realRoot: string): Promise<FolderFiles & { readonly fault: string | null }> {
  try {
    return { ...(await filesOfFolder(path, realRoot)), fault: null };
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    return { files: [], leaving: [], isCut: false, fault: `${error.message}.` };
  }
}

const leavingMessage = 'This is a link to a file outside of the models folder: copy the file itself here.';

const emptyMessage = (names: readonly string[]): string =>
  names.some((name) => /\.(bin|pt|pth)$/.test(name))
    ? 'There is no .gguf and no .safetensors file in this folder, only weights of an older kind that can run code when they are read: download the model as safetensors.'
    : 'There is no .gguf and no .safetensors file in this folder.';
