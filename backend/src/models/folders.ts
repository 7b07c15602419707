import { realpath } from 'node:fs/promises';
import type { Engine, FileRemark, FolderInspection } from '../../../contract/models.ts';
import { type FolderFiles, filesOfFolder, mostFilesOfFolder, resolveFolder } from './folder-files.ts';
import { ModelFileError } from './formats/byte-source.ts';
import { ggufOffer } from './gguf-candidates.ts';
import { provenanceOf } from './provenance.ts';
import { safetensorsOffer } from './safetensors-candidate.ts';

/** Heads of some hundred files on a slow disk. */
const longestMs = 60_000;

const nothingIsKnown: Readonly<Record<Engine, string | null>> = { vllm: null, llamacpp: null };

/**
 * What a folder holds and which engine can run it.
 * @param versions the engines', where they are known: an architecture may be newer than they are
 * @throws CortexError folder_not_found, folder_outside
 */
export async function inspectModelFolder(
  root: string,
  folder: string,
  versions: Readonly<Record<Engine, string | null>> = nothingIsKnown,
): Promise<FolderInspection> {
  const path = await resolveFolder(root, folder);
  const realRoot = await realpath(root);
  const { files, leaving, isCut, fault } = await lookInto(path, realRoot);
  const signal = AbortSignal.timeout(longestMs);
  const label = folder.split('/').at(-1) ?? folder;
  const offers = [
    await ggufOffer(files, versions.llamacpp, signal),
    await safetensorsOffer(files, label, versions.vllm, signal),
  ];
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
