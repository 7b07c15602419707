export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

export const readTheme = (): Theme => themes.find((theme) => theme === localStorage.getItem('theme')) ?? 'system';

const prefersDark = () => matchMedia('(prefers-color-scheme: dark)');

/** Keeps the choice in the browser and shows it; public/theme.js does the same before the first paint. */
export function applyTheme(theme: Theme): void {
  localStorage.setItem('theme', theme);
  show(theme);
}

/** Shows the system's own theme, where that is the choice, as soon as it changes. */
export function followSystem(): void {
  prefersDark().addEventListener('change', () => show(readTheme()));
}

function show(theme: Theme): void {
  const dark = theme === 'dark' || (theme === 'system' && prefersDark().matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
}
