export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

export const readTheme = (): Theme => themes.find((theme) => theme === localStorage.getItem('theme')) ?? 'system';

/** Keeps the choice in the browser and shows it; public/theme.js does the same before the first paint. */
export function applyTheme(theme: Theme): void {
  localStorage.setItem('theme', theme);
  const dark = theme === 'dark' || (theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
}
