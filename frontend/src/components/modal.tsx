import { Dialog as Radix } from 'radix-ui';
import { type ReactNode, useRef } from 'react';

/** What lies over the page and has to be left first. Left, it gives the focus back to where it was. */
export function Modal({
  title,
  hidesTitle = false,
  description,
  open,
  className,
  onClose,
  children,
}: {
  title: string;
  /** Only read out: what is in it shows what it is. */
  hidesTitle?: boolean;
  description?: ReactNode;
  open: boolean;
  className: string;
  onClose: () => void;
  children: ReactNode;
}) {
  // Radix gives it back to a trigger only, and what an address opens has none.
  const before = useRef<Element | null>(null);
  return (
    <Radix.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-20 bg-black/50" />
        <Radix.Content
          {...(description === undefined ? { 'aria-describedby': undefined } : {})}
          onOpenAutoFocus={() => {
            before.current = document.activeElement;
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            if (before.current instanceof HTMLElement) before.current.focus();
          }}
          className={`fixed z-30 border-line bg-surface shadow-xl ${className}`}
        >
          <Radix.Title className={hidesTitle ? 'sr-only' : 'text-base font-semibold'}>{title}</Radix.Title>
          {description === undefined ? null : (
            <Radix.Description asChild>
              <div className="text-muted">{description}</div>
            </Radix.Description>
          )}
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
