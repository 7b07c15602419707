import tseslint from 'typescript-eslint';

// Biome formats and lints. These three rules need types, and each fault they find ends a server process or loses an error.
export default tseslint.config(
  {
    ignores: [
      'dist/',
      'coverage/',
      'node_modules/',
      '**/*.config.ts',
      '**/*.mjs',
      '**/*.js',
      '.cortex/',
      '.tests/',
      'cortex-offline-images*/',
    ],
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    languageOptions: { parser: tseslint.parser, parserOptions: { projectService: true } },
    plugins: { '@typescript-eslint': tseslint.plugin },
    linterOptions: { reportUnusedDisableDirectives: false },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    // Who holds Docker's containers can do anything on this machine: only the engine room and its two parts may, types
    // included, and the wiring that hands them the Engine. offline/ has a wall of its own.
    files: ['backend/src/**/*.ts'],
    ignores: [
      'backend/src/models/engine-room/*.ts',
      'backend/src/models/container-spec.ts',
      'backend/src/models/engine-probe.ts',
      'backend/src/server.ts',
    ],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: 'docker/(engine|containers|connection|tar)\\.ts$',
              message: 'Only the engine room handles containers: use its verbs (docs/adr, the engine room).',
            },
            {
              regex: '/(container-spec|engine-probe)\\.ts$',
              importNames: ['containerSpec', 'EngineProbe'],
              message: 'Only the engine room makes containers: use its verbs (docs/adr, the engine room).',
            },
          ],
        },
      ],
    },
  },
);
