// The version of this package, as its package.json has it.

export function programVersion(): string {
  return (require('../../../package.json') as { version: string }).version;
}
