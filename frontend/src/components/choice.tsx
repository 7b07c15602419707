import { type ReactNode, useId } from 'react';
import { inputClass } from './field.tsx';

/** A few choices side by side, one of which holds. */
export function Segments<V extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: V;
  options: readonly (readonly [V, string])[];
  onChange: (value: V) => void;
}) {
  return (
    <fieldset className="inline-flex flex-wrap rounded-md border border-line bg-surface p-0.5">
      <legend className="sr-only">{label}</legend>
      {options.map(([option, name]) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === value}
          onClick={() => onChange(option)}
          className="h-7 rounded px-2.5 text-sm whitespace-nowrap text-muted hover:text-text aria-pressed:bg-raised aria-pressed:font-medium aria-pressed:text-text"
        >
          {name}
        </button>
      ))}
    </fieldset>
  );
}

/** A labelled list to choose from; the empty text is the first, which means all. */
export function Select({
  label,
  value,
  all,
  onChange,
  children,
}: {
  label: string;
  value: string;
  all: string;
  onChange: (value: string | undefined) => void;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <div className="min-w-0 flex-1 basis-36 sm:max-w-56">
      <label htmlFor={id} className="sr-only">
        {label}
      </label>
      <select
        id={id}
        className={inputClass}
        value={value}
        onChange={(event) => onChange(event.target.value === '' ? undefined : event.target.value)}
      >
        <option value="">{all}</option>
        {children}
      </select>
    </div>
  );
}
