import { type ReactNode, useEffect, useRef } from 'react';
import { errorAt } from '../api/client.ts';
import { Button } from './button.tsx';
import { Failure } from './page.tsx';

/**
 * A dialog's form. What the server refuses stands at its field, which gets the focus; what belongs to none of `fields` stands
 * above the buttons.
 */
export function Form({
  error,
  fields,
  busy,
  disabled = false,
  submit,
  onSubmit,
  onCancel,
  children,
}: {
  error: unknown;
  fields: readonly string[];
  busy: boolean;
  /** Something has to be chosen first. */
  disabled?: boolean;
  submit: string;
  onSubmit: () => void;
  onCancel: () => void;
  children: ReactNode;
}) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (error) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [error]);
  const isAtField = fields.some((field) => errorAt(error, field) !== undefined);
  return (
    <form
      ref={form}
      className="space-y-4"
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
      {error && !isAtField ? <Failure error={error} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button look="primary" type="submit" disabled={busy || disabled}>
          {busy ? 'Saving…' : submit}
        </Button>
      </div>
    </form>
  );
}
