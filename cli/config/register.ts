import { type Command, Option } from 'commander';
import { repeated } from '../offline/session.ts';
import { type ApplyFlags, apply } from './apply.ts';
import { type ExportFlags, exportAll } from './export.ts';
import { signsIn } from './session.ts';

/** `cortex apply` and `cortex export`: models and recipes as files. */
export function registerConfig(program: Command): void {
  signsIn(program.command('apply'))
    .description('make models and recipes as files describe them; shows what changes before it changes anything')
    .addOption(
      new Option('-f, --file <file>', 'YAML or JSON, - for standard input; repeat for several')
        .argParser(repeated)
        .makeOptionMandatory(),
    )
    .option('--prune', 'delete what the files do not describe; of a kind that they describe none of, nothing')
    .addOption(new Option('--dry-run', 'only show what would change: exit code 0 if nothing, 8 if something'))
    .addOption(new Option('--diff', 'the same as --dry-run').implies({ dryRun: true }))
    .option('--yes', 'do not ask; needed where there is no terminal')
    .option('--json', 'the changes and what became of each as JSON')
    .action((flags: ApplyFlags) => apply(flags));
  signsIn(program.command('export'))
    .description('write all models and recipes as a file that cortex apply takes; secrets are left out and named')
    .option('-o, --output <file>', 'where to (default: standard output)')
    .option('--no-recipes', 'the models alone')
    .action((flags: ExportFlags) => exportAll(flags));
}
