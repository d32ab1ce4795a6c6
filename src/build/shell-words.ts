// Words of a Dockerfile line as Docker's builder reads them: quotes, escapes and variables ($X, ${X:-d}, ${X:+a}, ${X:?e},
// ${X#p}, ${X%p}, ${X/p/r}). Not a shell: no command runs, no file name is expanded. Pure.

export type Variables = (name: string) => string | undefined;

export interface WordOptions {
  /** `\` or "`". */
  readonly escape: string;
  /** Leaves quotes and escapes in the words, and variables alone. */
  readonly raw?: boolean;
  /** In a here-document quotes mean nothing. */
  readonly quotes?: boolean;
}

/** A substitution that is malformed, or one that insists on its variable. */
export class SubstitutionError extends Error {
  override readonly name = 'SubstitutionError';
}

const isSpace = (char: string): boolean => /\s/.test(char);

/** What has been read: the line as one word, and as words. */
class Output {
  text = '';
  readonly words: string[] = [];
  #word: string | undefined;

  /** A character that belongs to a word whatever it is. */
  literal(text: string): void {
    this.text += text;
    this.#word = (this.#word ?? '') + text;
  }

  /** Text whose blanks part words. */
  plain(text: string): void {
    this.text += text;
    for (const char of text) {
      if (isSpace(char)) this.end();
      else this.#word = (this.#word ?? '') + char;
    }
  }

  /** An empty quotation is a word too. */
  open(): void {
    this.#word ??= '';
  }

  end(): void {
    if (this.#word !== undefined) this.words.push(this.#word);
    this.#word = undefined;
  }
}

class WordReader {
  readonly #out = new Output();
  #at = 0;

  constructor(
    private readonly source: string,
    private readonly variables: Variables,
    private readonly options: WordOptions,
  ) {}

  read(): Output {
    const { escape, raw, quotes = true } = this.options;
    while (this.#at < this.source.length) {
      const char = this.source[this.#at] ?? '';
      if (quotes && char === "'") this.#single();
      else if (quotes && char === '"') this.#double();
      else if (char === '$' && !raw) this.#out.plain(this.#dollar());
      else if (char === escape) this.#escaped();
      else {
        this.#out.plain(char);
        this.#at++;
      }
    }
    this.#out.end();
    return this.#out;
  }

  #escaped(): void {
    const next = this.source[this.#at + 1] ?? '';
    const { escape, raw, quotes = true } = this.options;
    // Without quotes only what would mean something else is escaped.
    const kept = raw === true || (!quotes && next !== '$' && next !== escape);
    this.#out.literal(kept ? escape + next : next);
    this.#at += 2;
  }

  #single(): void {
    const end = this.source.indexOf("'", this.#at + 1);
    if (end === -1) throw new SubstitutionError('unexpected end of statement while looking for matching single-quote');
    this.#out.open();
    const inner = this.source.slice(this.#at + 1, end);
    this.#out.literal(this.options.raw ? `'${inner}'` : inner);
    this.#at = end + 1;
  }

  #double(): void {
    const { escape, raw } = this.options;
    this.#out.open();
    if (raw) this.#out.literal('"');
    for (this.#at++; ;) {
      const char = this.source[this.#at];
      if (char === undefined) throw new SubstitutionError('unexpected end of statement while looking for matching double-quote');
      if (char === '"') break;
      if (char === '$' && !raw) {
        this.#out.literal(this.#dollar());
      } else if (char === escape && this.#at + 1 < this.source.length) {
        const next = this.source[this.#at + 1] ?? '';
        const unescaped = !raw && (next === '"' || next === '$' || next === escape);
        this.#out.literal(unescaped ? next : char + next);
        this.#at += 2;
      } else {
        this.#out.literal(char);
        this.#at++;
      }
    }
    if (raw) this.#out.literal('"');
    this.#at++;
  }

  /** The value of the substitution that begins at `$`. */
  #dollar(): string {
    this.#at++;
    if (this.source[this.#at] !== '{') {
      const name = this.#name();
      return name === '' ? '$' : (this.variables(name) ?? '');
    }
    this.#at++;
    const name = this.#name();
    const modifier = this.source[this.#at];
    if (name === '') throw new SubstitutionError(modifier === undefined ? "syntax error: missing '}'" : 'bad substitution');
    if (modifier === undefined) throw new SubstitutionError("syntax error: missing '}'");
    this.#at++;
    if (modifier === '}') return this.variables(name) ?? '';
    if (modifier === ':') return this.#conditional(name, this.source[this.#at++] ?? '', true);
    if ('+-?'.includes(modifier)) return this.#conditional(name, modifier, false);
    if ('#%/'.includes(modifier)) return this.#edited(name, modifier);
    throw new SubstitutionError(`unsupported modifier (${modifier}) in substitution`);
  }

  #name(): string {
    const rest = this.source.slice(this.#at);
    const name = /^(?:[A-Za-z_]\w*|\d+|[@*#?\-$!])/.exec(rest)?.[0] ?? '';
    this.#at += name.length;
    return name;
  }

  #conditional(name: string, modifier: string, emptyToo: boolean): string {
    const word = this.#untilBrace();
    const value = this.variables(name);
    const isSet = value !== undefined && (!emptyToo || value !== '');
    switch (modifier) {
      case '+':
        return isSet ? word : '';
      case '-':
        return isSet ? value : word;
      case '?':
        if (isSet) return value;
        throw new SubstitutionError(`${name}: ${word || (emptyToo ? 'not set or empty' : 'not set')}`);
      default:
        throw new SubstitutionError(`unsupported modifier (${modifier}) in substitution`);
    }
  }

  /** The text up to the closing brace, its own substitutions done. */
  #untilBrace(stop = '}'): string {
    let text = '';
    for (;;) {
      const char = this.source[this.#at];
      if (char === undefined) throw new SubstitutionError("syntax error: missing '}'");
      if (char === '$') {
        text += this.#dollar();
        continue;
      }
      this.#at++;
      if (char === stop) return text;
      if (stop === '/' && char === '}') {
        this.#at--;
        return text;
      }
      text += char === this.options.escape ? (this.source[this.#at++] ?? '') : char;
    }
  }

  #edited(name: string, modifier: string): string {
    const twice = this.source[this.#at] === modifier;
    if (twice) this.#at++;
    const value = this.variables(name) ?? '';
    if (modifier === '/') {
      const pattern = this.#untilBrace('/');
      const replacement = this.#untilBrace();
      return value.replace(new RegExp(shellPattern(pattern, true), twice ? 'gs' : 's'), () => replacement);
    }
    const pattern = this.#untilBrace();
    if (modifier === '#') return value.replace(new RegExp(`^${shellPattern(pattern, twice)}`, 's'), '');
    // The shortest end is the one that starts last.
    for (let i = 0; i <= value.length; i++) {
      const at = twice ? i : value.length - i;
      if (new RegExp(`^${shellPattern(pattern, true)}$`, 's').test(value.slice(at))) return value.slice(0, at);
    }
    return value;
  }
}

/** `*` and `?` as a regular expression. */
function shellPattern(pattern: string, greedy: boolean): string {
  const any = greedy ? '.*' : '.*?';
  return pattern.replace(/[\\^$.*+?()[\]{}|/]/g, (char) => (char === '*' ? any : char === '?' ? '.' : `\\${char}`));
}

/** The text with quotes taken off and variables put in. Errors: SubstitutionError. */
export function expandWord(text: string, variables: Variables, options: WordOptions): string {
  return new WordReader(text, variables, options).read().text;
}

/** The same as words, parted at blanks outside quotes, those of values too. Errors: SubstitutionError. */
export function expandWords(text: string, variables: Variables, options: WordOptions): string[] {
  return new WordReader(text, variables, options).read().words;
}

/** Words as they stand, quotes and escapes and all. Errors: SubstitutionError. */
export function rawWords(text: string, escape: string): string[] {
  return new WordReader(text, () => undefined, { escape, raw: true }).read().words;
}
