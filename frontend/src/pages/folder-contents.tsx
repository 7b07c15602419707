import { engineNames } from '../../../contract/engine-options/tables.ts';
import type { Candidate, FileRemark, FolderInspection } from '../../../contract/models.ts';
import { Card, Facts } from '../components/page.tsx';
import { formatBytes } from '../format.ts';

const choiceClass = 'block w-full rounded-lg border border-line bg-surface p-4 text-left hover:border-accent';

/** What a folder holds: each model to choose, then what can't be served and why, then what is worth knowing. */
export function FolderContents({
  inspection,
  onChoose,
}: {
  inspection: FolderInspection;
  onChoose: (candidate: Candidate) => void;
}) {
  const { folder, candidates, problems, notes } = inspection;
  const facts = originOf(inspection);
  return (
    <Card title={`In ${folder}`}>
      <div className="space-y-4">
        {facts.length > 0 ? <Facts facts={facts} /> : null}
        {candidates.length > 0 ? (
          <ul className="space-y-3" aria-label="Models">
            {candidates.map((one) => (
              <li key={one.file ?? ''}>
                <button type="button" className={choiceClass} onClick={() => onChoose(one)}>
                  <span className="flex flex-wrap items-baseline gap-x-2">
                    <span className="font-medium">{one.label}</span>
                    {one.quantization === null ? null : (
                      <span className="rounded bg-raised px-1.5 font-mono text-xs">{one.quantization}</span>
                    )}
                  </span>
                  <span className="mt-1 block text-muted">{describe(one)}</span>
                  <span className="mt-1 block text-xs text-muted">
                    Not for {engineNames[one.not_for.engine]}: {one.not_for.reason}
                  </span>
                  {one.warnings.map((warning) => (
                    <span key={warning} className="mt-1 block text-warn">
                      ▲ {warning}
                    </span>
                  ))}
                </button>
              </li>
            ))}
          </ul>
        ) : (
          <p className="text-muted">
            Nothing in this folder can be served. A model is a .gguf file, or .safetensors files with config.json and a
            tokenizer.
          </p>
        )}
        {problems.length > 0 ? <Remarks title="Can't be served" remarks={problems} className="text-warn" /> : null}
        {notes.length > 0 ? <Remarks title="Also here" remarks={notes} className="text-muted" /> : null}
      </div>
    </Card>
  );
}

function Remarks({ title, remarks, className }: { title: string; remarks: readonly FileRemark[]; className: string }) {
  return (
    <section aria-label={title}>
      <h3 className="text-xs font-semibold text-muted">{title}</h3>
      <ul className={`mt-1 space-y-1 ${className}`}>
        {remarks.map(({ file, message }) => (
          <li key={`${file}${message}`} className="break-words">
            {file === null ? null : <span className="font-mono text-xs">{file}: </span>}
            {message}
          </li>
        ))}
      </ul>
    </section>
  );
}

function originOf({ license, license_file: file, source }: FolderInspection): [string, string][] {
  const facts: [string, string][] = [];
  if (license !== null) facts.push(['Licence', file === null ? license : `${license}, in ${file}`]);
  else if (file !== null) facts.push(['Licence', `in ${file}`]);
  const from = [source?.repository, source?.revision?.slice(0, 12)].filter((part) => typeof part === 'string');
  if (from.length > 0) facts.push(['Came from', from.join(' at ')]);
  return facts;
}

function describe(one: Candidate): string {
  const facts = [engineNames[one.engine], one.task === 'embed' ? 'embeddings' : 'chat', formatBytes(one.sizeBytes)];
  if (one.architecture) facts.push(one.architecture);
  if (one.context_length) facts.push(`${one.context_length.toLocaleString('en')} tokens of context`);
  if (one.parts > 1) facts.push(`${one.parts} parts`);
  return facts.join(' · ');
}
