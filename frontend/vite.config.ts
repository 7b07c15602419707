import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const assets = fileURLToPath(new URL('../dist/frontend/assets/', import.meta.url));

/** Beside each script and style its gzip, which the server sends: over plain HTTP browsers take no Brotli. */
const gzipAssets: Plugin = {
  name: 'gzip-assets',
  closeBundle: () => {
    for (const name of readdirSync(assets).filter((one) => /\.(?:js|css)$/.test(one)))
      writeFileSync(`${assets}${name}.gz`, gzipSync(readFileSync(`${assets}${name}`), { level: 9 }));
  },
};

export default defineConfig({
  plugins: [react(), tailwindcss(), gzipAssets],
  build: { outDir: '../dist/frontend', emptyOutDir: true, assetsInlineLimit: 0 },
});
