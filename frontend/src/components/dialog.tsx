import { Dialog as Radix } from 'radix-ui';
import type { ReactNode } from 'react';

const widths = { normal: 'w-[min(32rem,calc(100vw-2rem))]', wide: 'w-[min(46rem,calc(100vw-2rem))]' };

export function Dialog({
  title,
  description,
  size = 'normal',
  open,
  onClose,
  children,
}: {
  title: string;
  description: ReactNode;
  size?: keyof typeof widths;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Radix.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-20 bg-black/50" />
        <Radix.Content
          className={`${widths[size]} fixed top-1/2 left-1/2 z-30 max-h-[90vh] -translate-x-1/2 -translate-y-1/2 space-y-4 overflow-auto rounded-lg border border-line bg-surface p-5 shadow-xl`}
        >
          <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
          <Radix.Description asChild>
            <div className="text-muted">{description}</div>
          </Radix.Description>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
