/** Tells the bench that started this process where it listens, and ends this process with the bench. */
export function announce(said: { readonly port: number } & Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
  process.stdin.resume().once('end', () => process.exit(0));
}
