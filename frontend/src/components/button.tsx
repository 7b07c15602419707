import type { ButtonHTMLAttributes } from 'react';

const looks = {
  primary: 'bg-accent text-on-accent border-transparent not-disabled:hover:bg-accent-strong',
  plain: 'bg-surface text-text border-line not-disabled:hover:bg-raised',
  quiet: 'bg-transparent text-muted border-transparent not-disabled:hover:bg-raised not-disabled:hover:text-text',
  danger: 'bg-surface text-bad border-line not-disabled:hover:bg-raised',
} as const;

/** Only colours move: a button that fades in when it becomes usable can't be read meanwhile. */
export const buttonClass = (look: keyof typeof looks = 'plain') =>
  `inline-flex h-8 items-center justify-center gap-1.5 rounded-md border px-3 text-sm font-medium whitespace-nowrap transition-colors disabled:cursor-not-allowed disabled:opacity-50 ${looks[look]}`;

export function Button({
  look = 'plain',
  className = '',
  type = 'button',
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { look?: keyof typeof looks }) {
  return <button type={type} className={`${buttonClass(look)} ${className}`} {...rest} />;
}
