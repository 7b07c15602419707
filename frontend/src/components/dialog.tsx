import type { ReactNode } from 'react';
import { Modal } from './modal.tsx';

const widths = { normal: 'w-[min(32rem,calc(100vw-2rem))]', wide: 'w-[min(46rem,calc(100vw-2rem))]' };

export function Dialog({
  size = 'normal',
  ...modal
}: {
  title: string;
  description: ReactNode;
  size?: keyof typeof widths;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Modal
      className={`${widths[size]} top-1/2 left-1/2 max-h-[90vh] -translate-x-1/2 -translate-y-1/2 space-y-4 overflow-auto rounded-lg border p-5`}
      {...modal}
    />
  );
}
