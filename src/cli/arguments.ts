// Command lines in Docker's manner: long and short flags, values after a space or an equals sign, bundles of short
// switches, `--` ends them. A command is described by a table, which also makes its help text. Used by every command.

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
    /** 1 for a wrong number of arguments, as Docker has it. */
    readonly exitCode = 125,
  ) {
    super(message);
  }
}

export class Arguments {
  readonly #values = new Map<string, string[]>();
  readonly #off = new Set<string>();
  readonly rest: string[] = [];

  add(name: string, value: string): void {
    this.#off.delete(name);
    const known = this.#values.get(name);
    if (known) known.push(value);
    else this.#values.set(name, [value]);
  }
  /** Takes back a switch that `--name=false` turns off. */
  clear(name: string): void {
    this.#values.delete(name);
    this.#off.add(name);
  }
  /** Whether `--name=false` was said: for switches that are on by default. */
  isOff(name: string): boolean {
    return this.#off.has(name);
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
/** What Go's strconv.ParseBool takes. */
const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True'];
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

function allFlags(spec: CommandSpec): [name: string, flag: Flag][] {
  return [...Object.entries(spec.flags), ['help', HELP]];
}

class Parser {
  readonly #out = new Arguments();
  readonly #pending: string[];

  constructor(
    private readonly spec: CommandSpec,
    argv: readonly string[],
  ) {
    this.#pending = [...argv];
  }

  run(): Arguments {
    const { rest } = this.#out;
    for (let word = this.#pending.shift(); word !== undefined; word = this.#pending.shift()) {
      if (word === '--') {
        rest.push(...this.#pending);
        break;
      }
      if (word.startsWith('--')) {
        this.#long(word);
      } else if (word.startsWith('-') && word !== '-') {
        this.#bundle(word);
      } else {
        rest.push(word);
        if (!this.spec.stopAtFirst) continue;
        rest.push(...this.#pending);
        break;
      }
    }
    return this.#out;
  }

  #fail(message: string): never {
    throw new UsageError(message, this.spec.command);
  }

  /** `--flag`, `--flag value`, `--flag=value`. */
  #long(word: string): void {
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    if (name === '' || name.startsWith('-')) this.#fail(`bad flag syntax: ${word}`);
    const found = allFlags(this.spec).find(([long]) => long === name) ?? this.#fail(`unknown flag: --${name}`);
    this.#take(found, equals < 0 ? undefined : word.slice(equals + 1), `--${name}`);
  }

  /** `-it`, `-vSRC:DST`, `-v SRC:DST`, `-v=SRC:DST`. */
  #bundle(word: string): void {
    for (let i = 1; i < word.length; i++) {
      const letter = word[i] ?? '';
      const found = allFlags(this.spec).find(([, flag]) => flag.short === letter);
      if (!found) this.#fail(`unknown shorthand flag: '${letter}' in ${word}`);
      const glued = word.slice(i + 1);
      const isValue = glued !== '' && (found[1].takes !== undefined || glued.startsWith('='));
      this.#take(found, isValue ? glued.replace(/^=/, '') : undefined, `'${letter}' in ${word}`);
      if (isValue) return;
    }
  }

  #take([name, flag]: [string, Flag], inline: string | undefined, given: string): void {
    if (flag.takes === undefined) return this.#switch(name, flag, inline ?? 'true');
    this.#out.add(name, inline ?? this.#pending.shift() ?? this.#fail(`flag needs an argument: ${given}`));
  }

  #switch(name: string, flag: Flag, value: string): void {
    if (FALSE.includes(value)) this.#out.clear(name);
    else if (TRUE.includes(value)) this.#out.add(name, '');
    else {
      const shown = flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`;
      this.#fail(
        `invalid argument ${JSON.stringify(value)} for "${shown}" flag: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
      );
    }
  }
}

/** Parses argv. Errors: UsageError with Docker's wording. */
export function parseArguments(spec: CommandSpec, argv: readonly string[]): Arguments {
  return new Parser(spec, argv).run();
}

/** Help in Docker's layout. */
export function helpText(spec: CommandSpec): string {
  const lines = allFlags(spec).map(([name, flag]) => {
    const short = flag.short ? `-${flag.short}, ` : '    ';
    return [`  ${short}--${name}${flag.takes ? ` ${flag.takes}` : ''}`, flag.help] as const;
  });
  const width = Math.max(...lines.map(([left]) => left.length)) + 3;
  return `Usage:  ${spec.command} ${spec.usage}\n\n${spec.summary}\n\nOptions:\n${lines
    .map(([left, help]) => `${left.padEnd(width)}${help}`)
    .join('\n')}\n`;
}
