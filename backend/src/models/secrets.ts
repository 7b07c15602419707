const hidden = '‹hidden›';
const secretVariable = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL/i;
const secretFlag = /-(?:key|token|secret|password|passwd)$/i;

/** Variables as they may be shown: those whose name tells of a secret keep only the name. */
export const shownVariables = (variables: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, secretVariable.test(name) ? hidden : value]),
  );

/** Arguments as they may be shown. */
export const shownArguments = (args: readonly string[]): string[] =>
  args.map((argument, index) => {
    const [flag = '', value] = argument.split(/=(.*)/s, 2);
    if (value !== undefined && secretFlag.test(flag)) return `${flag}=${hidden}`;
    const before = args[index - 1] ?? '';
    return before.startsWith('--') && secretFlag.test(before) && !argument.startsWith('--') ? hidden : argument;
  });
