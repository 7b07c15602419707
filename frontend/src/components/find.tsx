import { Search } from 'lucide-react';
import { inputClass } from './field.tsx';

/** Narrows a list by what is typed. */
export function Find({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}) {
  return (
    <div className="relative min-w-0 flex-1 basis-48 sm:max-w-72">
      <Search size={14} aria-hidden className="pointer-events-none absolute top-2.75 left-2.5 text-muted" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        className={`${inputClass} pl-8`}
        value={value ?? ''}
        onChange={(event) => onChange(event.target.value === '' ? undefined : event.target.value)}
      />
    </div>
  );
}

/** Whether one of the texts has what is looked for, in whatever case. */
export const finds = (wanted: string | undefined, ...texts: readonly string[]): boolean =>
  wanted === undefined || texts.some((text) => text.toLowerCase().includes(wanted.trim().toLowerCase()));
