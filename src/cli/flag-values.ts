// What the values of flags mean that `run`, `create` and `build` share: sizes, numbers, limits, names of hosts. Errors are
// Docker's words for a flag.

import { isIP } from 'node:net';
import { ramInBytes } from '../volume/ram-size.js';
import { type Arguments, type Flag, UsageError } from './arguments.js';

export class FlagValues {
  constructor(
    readonly args: Arguments,
    readonly command: string,
    private readonly flags: Readonly<Record<string, Flag>>,
  ) {}

  fail(name: string, value: string, why: string): never {
    const short = this.flags[name]?.short;
    const shown = short === undefined ? `--${name}` : `-${short}, --${name}`;
    throw new UsageError(`invalid argument ${JSON.stringify(value)} for "${shown}" flag: ${why}`, this.command);
  }

  bytes(name: string): number | undefined {
    const text = this.args.value(name);
    if (text === undefined) return undefined;
    return text === '-1' ? -1 : (ramInBytes(text) ?? this.fail(name, text, `invalid size: '${text}'`));
  }

  integer(name: string): number | undefined {
    const text = this.args.value(name);
    if (text === undefined) return undefined;
    if (!/^-?\d+$/.test(text)) this.fail(name, text, `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    return Number(text);
  }

  ulimits(): readonly object[] {
    return this.args
      .all('ulimit')
      .map((text) => {
        const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
        if (name === undefined || soft === undefined) return this.fail('ulimit', text, `invalid ulimit argument: ${text}`);
        return { Name: name, Soft: Number(soft), Hard: Number(hard ?? soft) };
      })
      .sort((a, b) => (a.Name < b.Name ? -1 : 1));
  }

  /** `HOST:IP`, `HOST=IP`, `HOST=[IP]`. */
  hosts(): string[] {
    return this.args.all('add-host').map((text) => {
      const [, name, ip] = /^([^:=]+)[:=](.+)$/.exec(text) ?? [];
      const bare = ip?.replace(/^\[(.*)\]$/, '$1');
      if (name === undefined || bare === undefined)
        return this.fail('add-host', text, `bad format for add-host: ${JSON.stringify(text)}`);
      if (isIP(bare) === 0 && bare !== 'host-gateway')
        return this.fail('add-host', text, `invalid IP address in add-host: ${JSON.stringify(bare)}`);
      return `${name}:${bare}`;
    });
  }
}
