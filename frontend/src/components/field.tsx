import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from 'react';

export const inputClass =
  'h-9 w-full rounded-md border border-line bg-surface px-2.5 text-sm text-text placeholder:text-muted disabled:opacity-60 aria-invalid:border-bad';

interface Labelled {
  readonly label: string;
  readonly help?: ReactNode;
  readonly error?: string | undefined;
}

/** A labelled input with its help and, at the field, what is wrong with it. */
export function Field({ label, help, error, ...input }: Labelled & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <Labelled label={label} help={help} error={error}>
      {(at) => <input className={inputClass} {...at} {...input} />}
    </Labelled>
  );
}

/** The same for several lines. */
export function TextField({ label, help, error, ...area }: Labelled & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return (
    <Labelled label={label} help={help} error={error}>
      {(at) => (
        <textarea className={`${inputClass} h-auto py-2 font-mono text-xs`} spellCheck={false} {...at} {...area} />
      )}
    </Labelled>
  );
}

/** The same for a list to choose from. */
export function SelectField({ label, help, error, ...select }: Labelled & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <Labelled label={label} help={help} error={error}>
      {(at) => <select className={inputClass} {...at} {...select} />}
    </Labelled>
  );
}

function Labelled({
  label,
  help,
  error,
  children,
}: Labelled & {
  readonly children: (at: { id: string; 'aria-invalid': boolean; 'aria-describedby'?: string }) => ReactNode;
}) {
  const id = useId();
  const hint = error ?? help;
  return (
    <div className="min-w-0 space-y-1">
      <label htmlFor={id} className="block text-sm font-medium">
        {label}
      </label>
      {children({ id, 'aria-invalid': error !== undefined, ...(hint ? { 'aria-describedby': `${id}-help` } : {}) })}
      {hint ? (
        <p id={`${id}-help`} className={`text-xs ${error === undefined ? 'text-muted' : 'text-bad'}`}>
          {hint}
        </p>
      ) : null}
    </div>
  );
}
