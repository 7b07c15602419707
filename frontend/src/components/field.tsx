import { type InputHTMLAttributes, type ReactNode, useId } from 'react';

export const inputClass =
  'h-9 w-full rounded-md border border-line bg-surface px-2.5 text-sm text-text placeholder:text-muted';

/** A labelled input with its help and, at the field, what is wrong with it. */
export function Field({
  label,
  help,
  error,
  ...input
}: { label: string; help?: ReactNode; error?: string | undefined } & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <div className="space-y-1">
      <label htmlFor={id} className="block text-sm font-medium">
        {label}
      </label>
      <input
        id={id}
        className={inputClass}
        aria-invalid={error !== undefined}
        aria-describedby={`${id}-help`}
        {...input}
      />
      <p id={`${id}-help`} className={`text-xs ${error === undefined ? 'text-muted' : 'text-bad'}`}>
        {error ?? help}
      </p>
    </div>
  );
}
