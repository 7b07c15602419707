import type { ReactNode } from 'react';
import { Button } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { Failure } from './page.tsx';

/** Asks before something is lost: the title names it, the description says what goes with it. */
export function Confirm({
  title,
  description,
  action,
  error,
  busy,
  onConfirm,
  onClose,
}: {
  title: string;
  description: ReactNode;
  action: string;
  error: unknown;
  busy: boolean;
  onConfirm: () => void;
  onClose: () => void;
}) {
  return (
    <Dialog title={title} description={description} open onClose={onClose}>
      {error ? <Failure error={error} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" disabled={busy} onClick={onConfirm}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
