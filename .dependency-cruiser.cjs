// The walls of docs/architecture.md. What is not allowed here is an error in the gate.
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from, pathNot: '\\.test\\.ts$' },
  to: { path: '^(contract|docker|offline|backend|cli|frontend|tests)/', pathNot: allowed },
});

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-vague-folders',
      comment: 'A folder is named for what it holds.',
      severity: 'error',
      from: {},
      to: { path: '(^|/)(utils?|helpers?|common|misc|lib|manager)/', pathNot: '^node_modules/' },
    },
    only('contract-alone', '^contract/', ['^contract/'], 'contract imports nothing of ours'),
    only('docker', '^docker/', ['^docker/', '^contract/'], 'docker imports nothing of ours but error codes'),
    only('offline', '^offline/', ['^offline/', '^docker/', '^contract/'], 'a library: no server, no database'),
    only('cli', '^cli/', ['^cli/', '^contract/', '^offline/', '^docker/']),
    only(
      'frontend',
      '^frontend/',
      ['^frontend/', '^contract/'],
      'the UI talks to the server through the contract alone',
    ),
    only(
      'gateway',
      '^backend/src/gateway/',
      ['^backend/src/(gateway|http|routing|usage)/', '^contract/'],
      'the request path knows no database, no Docker, no admin',
    ),
    only('http', '^backend/src/http/', ['^backend/src/http/', '^contract/'], 'knows messages, not what they mean'),
    only('routing', '^backend/src/routing/', ['^backend/src/routing/', '^contract/']),
    only('engines', '^backend/src/engines/', ['^backend/src/engines/', '^contract/'], 'pure functions over records'),
    only('usage', '^backend/src/usage/', ['^backend/src/usage/', '^contract/']),
    only('db', '^backend/src/db/', ['^backend/src/db/', '^contract/']),
    only('identity', '^backend/src/identity/', ['^backend/src/(identity|db|routing)/', '^contract/']),
    only('rules', '^backend/src/rules/', ['^backend/src/(rules|db|routing)/', '^contract/']),
    only('models', '^backend/src/models/', [
      '^backend/src/(models|engines|routing|db)/',
      '^backend/src/config\\.ts$',
      '^docker/',
      '^offline/(catalog|image-reference)\\.ts$',
      '^contract/',
    ]),
    only('jobs', '^backend/src/jobs/', [
      '^backend/src/(jobs|db)/',
      '^backend/src/rules/sealed\\.ts$',
      '^offline/',
      '^contract/',
    ]),
    only('system', '^backend/src/system/', ['^backend/src/(system|db)/', '^docker/', '^offline/', '^contract/']),
    only('admin', '^backend/src/admin/', [
      '^backend/src/(admin|jobs|models|rules|identity|usage|system|routing|db)/',
      '^contract/',
    ]),
    {
      name: 'only-the-server-wires',
      comment: 'Nothing imports the gateway or the control plane but the wiring.',
      severity: 'error',
      from: {
        pathNot: [
          '^backend/src/(server|listeners|ui-server)\\.ts$',
          '^backend/src/(gateway|admin|workers)/',
          '^tests/',
        ],
      },
      to: { path: '^backend/src/(gateway|admin)/' },
    },
    {
      name: 'one-reader-of-the-environment',
      comment: 'Only config.ts and the wiring know the settings; parts are given what they need.',
      severity: 'error',
      from: {
        path: '^backend/src/(gateway|routing|rules|usage|engines|db|identity|jobs|system)/',
        pathNot: '\\.test\\.ts$',
      },
      to: { path: '^backend/src/config' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|node_modules)/' },
    tsPreCompilationDeps: false,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.js', '.mjs'] },
  },
};
