/** Stands where a secret is left out. Sent back, it stands for the secret that is kept. */
export const hidden = '‹hidden›';

/** Where secrets may be: further arguments and variables of an engine. */
export interface Extras {
  readonly extra_args: readonly string[];
  readonly extra_env: Readonly<Record<string, string>>;
}

/** The fields of secrets that are left out: `options.extra_env.MY_TOKEN`, `options.extra_args.1`. */
export function hiddenFields({ extra_args: args, extra_env: variables }: Extras): string[] {
  const indexes = [...args.keys()].filter((index) => args[index] === hidden || args[index]?.endsWith(`=${hidden}`));
  return [
    ...Object.keys(variables).flatMap((name) => (variables[name] === hidden ? [`options.extra_env.${name}`] : [])),
    ...indexes.map((index) => `options.extra_args.${index}`),
  ];
}

const secretFlag = /-(?:key|token|secret|password|passwd)$/i;
const secretVariable = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL/i;

/** Whether a variable of the environment holds a secret, by its name. */
export const isSecretVariable = (name: string): boolean => secretVariable.test(name);

/** Whether the value of a flag is a secret, by its name. */
export const isSecretFlag = (flag: string): boolean => secretFlag.test(flag);
