// Before the first paint, so that a dark page never flashes white. A file of its own: the policy allows no inline script.
const chosen = localStorage.getItem('theme') ?? 'system';
const dark = chosen === 'dark' || (chosen === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
document.documentElement.dataset.theme = dark ? 'dark' : 'light';
