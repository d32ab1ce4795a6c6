// Command lines in Docker's manner: long and short flags, values after a space or an equals sign, bundles of short
// switches, `--` ends them. A command is described by a table, which also makes its help text.

export interface Flag {
  /** One letter. */
  short?: string;
  /** Name of the value in the help text; absent for a switch. */
  takes?: string;
  /** May be given more than once. */
  many?: boolean;
  help: string;
}

export interface CommandSpec {
  /** `lamina mount`. */
  command: string;
  /** What follows the command: `[OPTIONS] IMAGE TARGET`. */
  usage: string;
  summary: string;
  flags: Readonly<Record<string, Flag>>;
  /** Options end at the first argument that is none (`run IMAGE COMMAND -x`). */
  stopAtFirst?: boolean;
}

/** The command line is wrong; exit code 125, as Docker has it for flags. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  constructor(
    message: string,
    readonly command: string,
  ) {
    super(message);
  }
}

export class Arguments {
  readonly #values = new Map<string, string[]>();
  readonly rest: string[] = [];

  add(name: string, value: string): void {
    const known = this.#values.get(name);
    if (known) known.push(value);
    else this.#values.set(name, [value]);
  }
  has(name: string): boolean {
    return this.#values.has(name);
  }
  /** The last value given. */
  value(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }
  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

const HELP: Flag = { short: 'h', help: 'Print this help' };

function findFlag(spec: CommandSpec, name: string): [string, Flag] | undefined {
  const flags: [string, Flag][] = [...Object.entries(spec.flags), ['help', HELP]];
  return flags.find(([long, flag]) => name === `--${long}` || name === `-${flag.short ?? ''}`);
}

/** Parses argv. Errors: UsageError with Docker's wording. */
export function parseArguments(spec: CommandSpec, argv: readonly string[]): Arguments {
  const out = new Arguments();
  const pending = [...argv];
  const take = (given: string, name: string, flag: Flag, inline: string | undefined): void => {
    if (flag.takes === undefined) {
      if (inline !== undefined && inline !== 'true') throw new UsageError(`invalid argument "${inline}" for "${given}" flag`, spec.command);
      out.add(name, '');
      return;
    }
    const value = inline ?? pending.shift();
    if (value === undefined) throw new UsageError(`flag needs an argument: ${given}`, spec.command);
    out.add(name, value);
  };
  for (let word = pending.shift(); word !== undefined; word = pending.shift()) {
    if (word === '--') {
      out.rest.push(...pending);
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      out.rest.push(word);
      if (!spec.stopAtFirst) continue;
      out.rest.push(...pending);
      break;
    }
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const given = equals < 0 ? word : word.slice(0, equals);
      const found = findFlag(spec, given);
      if (!found) throw new UsageError(`unknown flag: ${given}`, spec.command);
      take(given, ...found, equals < 0 ? undefined : word.slice(equals + 1));
    } else {
      takeShort(spec, word, take);
    }
  }
  return out;
}

/** `-it`, `-vSRC:DST`, `-v SRC:DST`. */
function takeShort(spec: CommandSpec, word: string, take: (given: string, name: string, flag: Flag, inline: string | undefined) => void): void {
  for (let i = 1; i < word.length; i++) {
    const given = `-${word[i] ?? ''}`;
    const found = findFlag(spec, given);
    if (!found) throw new UsageError(`unknown shorthand flag: '${word[i] ?? ''}' in ${word}`, spec.command);
    if (found[1].takes === undefined) {
      take(given, ...found, undefined);
      continue;
    }
    const glued = word.slice(i + 1).replace(/^=/, '');
    take(given, ...found, glued === '' ? undefined : glued);
    return;
  }
}

/** Help in Docker's layout. */
export function helpText(spec: CommandSpec): string {
  const flags: [string, Flag][] = [...Object.entries(spec.flags), ['help', HELP]];
  const lines = flags.map(([name, flag]) => {
    const short = flag.short ? `-${flag.short}, ` : '    ';
    return [`  ${short}--${name}${flag.takes ? ` ${flag.takes}` : ''}`, flag.help] as const;
  });
  const width = Math.max(...lines.map(([left]) => left.length)) + 3;
  return `Usage:  ${spec.command} ${spec.usage}\n\n${spec.summary}\n\nOptions:\n${lines
    .map(([left, help]) => `${left.padEnd(width)}${help}`)
    .join('\n')}\n`;
}
