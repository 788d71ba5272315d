/** The process's environment, read here and nowhere else so that tests and embedders can see what matters. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}
