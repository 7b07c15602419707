import { z } from 'zod';
import type { EngineOption, OptionValue } from './option.ts';
import { refusedArguments, refusedEnvironment } from './reserved.ts';
import { type EngineName, llamacppTable, vllmTable } from './tables.ts';

type Field = z.ZodDefault<z.ZodNullable<z.ZodType<OptionValue>>>;

/** Below the model's folder, as it is seen in the container: no way up, no absolute path, nothing that reads like a flag. */
const fileInFolder = z
  .string()
  .max(1024)
  .regex(
    /^(?!-)(?!.*(?:^|\/)\.\.?(?:\/|$))[^/\\\p{Cc}][^\\\p{Cc}]*$/u,
    "a path below the model's folder, without . or .. in it",
  );

function valueSchema(option: EngineOption): z.ZodType<OptionValue> {
  switch (option.kind) {
    case 'integer':
      return z.number().int().min(option.min).max(option.max);
    case 'number':
      return z.number().min(option.min).max(option.max);
    case 'integers':
      return z.array(z.number().int().min(option.min).max(option.max)).min(1).max(256);
    case 'numbers':
      return z.array(z.number().min(option.min).max(option.max)).min(1).max(256);
    case 'boolean':
      return z.boolean();
    case 'choice':
      return z.enum(option.choices);
    case 'text':
      return z.string().regex(option.pattern, 'letters, digits and . _ - only');
    case 'json':
      return z.record(z.string(), z.unknown());
    case 'file':
      return fileInFolder;
  }
}

const extras = (engine: EngineName) => ({
  extra_args: z
    .array(z.string().min(1).max(8192))
    .max(256)
    .superRefine((args, context) => {
      for (const { index, reason } of refusedArguments(engine, args)) {
        context.addIssue({ code: 'custom', path: [index], message: reason });
      }
    })
    .default([])
    .describe("Further arguments of the engine, as they are; those that are Cortex's own are refused"),
  extra_env: z
    .record(z.string(), z.string().max(8192))
    .superRefine((variables, context) => {
      for (const { variable, reason } of refusedEnvironment(engine, variables)) {
        context.addIssue({ code: 'custom', path: [variable], message: reason });
      }
    })
    .default({})
    .describe("Further variables of the engine's environment"),
});

/** An object with a field for every option: null leaves the engine's own default. Keys keep the table's names. */
function optionsSchema<Name extends string>(engine: EngineName, table: Readonly<Record<Name, EngineOption>>) {
  const fields: Partial<Record<Name, Field>> = {};
  for (const name of Object.keys(table) as Name[]) {
    const { help, unit } = table[name];
    fields[name] = valueSchema(table[name])
      .nullable()
      .default(null)
      .describe(unit === undefined ? help : `${help} In ${unit}.`);
  }
  // The loop above has set every name of the table.
  return z.object({ ...(fields as Record<Name, Field>), ...extras(engine) });
}

export const llamacppOptions = optionsSchema('llamacpp', llamacppTable);
export const vllmOptions = optionsSchema('vllm', vllmTable);
