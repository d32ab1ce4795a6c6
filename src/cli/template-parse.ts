// Go templates as `--format` takes them: text into a tree. Run by template.ts. Pure.

/** A template that is not understood, or that names a field which is not there. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

/** It is not a template at all; exit code 64, as Docker has it. */
class TemplateSyntaxError extends TemplateError {
  readonly exitCode = 64;
}

export type Operand =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'path'; readonly of: Operand | undefined; readonly names: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipe'; readonly pipe: Pipe };
/** Commands, each of words; what one gives is the last argument of the next. */
export interface Pipe {
  readonly declares: readonly string[];
  readonly commands: readonly (readonly Operand[])[];
}
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'range' | 'with';
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|`([^`]*)`|(-?\d+(?:\.\d+)?)(?![\w.])|(\$\w*)|((?:\.\w+)+|\.)|(\w+)|(:=|=|,|\||\(|\)))/y;

interface Token {
  readonly kind: 'string' | 'number' | 'variable' | 'path' | 'word' | 'sign';
  readonly text: string;
  /** No space before it: `(f x).Field`, `$v.Field`. */
  readonly glued: boolean;
}

const KINDS = ['string', 'string', 'number', 'variable', 'path', 'word', 'sign'] as const;

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new TemplateSyntaxError(`template: the string ${text} is not understood`);
  }
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== '') {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new TemplateSyntaxError(`template: unexpected ${JSON.stringify(text.slice(start).trim())} in {{${text}}}`);
    const which = (match.slice(1) as (string | undefined)[]).findIndex((part) => part !== undefined);
    const raw = match[which + 1] ?? '';
    found.push({
      kind: KINDS[which] ?? 'sign',
      text: which === 0 ? unquote(raw) : raw,
      glued: match[0].search(/\S/) === 0,
    });
  }
  return found;
}

/** Words of one action. */
class ActionParser {
  readonly #tokens: Token[];
  #at = 0;

  constructor(private readonly text: string) {
    this.#tokens = tokens(text);
  }

  pipe(): Pipe {
    const pipe = this.#pipe();
    if (this.#at < this.#tokens.length) this.#fail();
    return pipe;
  }

  #peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#at + ahead];
  }

  #fail(): never {
    const token = this.#peek();
    throw new TemplateSyntaxError(
      `template: ${token ? `unexpected ${JSON.stringify(token.text)}` : 'something is missing'} in {{${this.text}}}`,
    );
  }

  #declares(): string[] {
    const names: string[] = [];
    for (let i = 0; this.#peek(i)?.kind === 'variable'; i += 2) {
      names.push(this.#peek(i)?.text ?? '');
      const sign = this.#peek(i + 1)?.text;
      if (sign === ':=' || sign === '=') {
        this.#at += i + 2;
        return names;
      }
      if (sign !== ',') return [];
    }
    return [];
  }

  #pipe(): Pipe {
    const declares = this.#declares();
    const commands = [this.#command()];
    while (this.#peek()?.text === '|' && this.#peek()?.kind === 'sign') {
      this.#at++;
      commands.push(this.#command());
    }
    return { declares, commands };
  }

  #command(): Operand[] {
    const words: Operand[] = [];
    for (let token = this.#peek(); token && !(token.kind === 'sign' && token.text !== '('); token = this.#peek())
      words.push(this.#operand());
    if (words.length === 0) this.#fail();
    return words;
  }

  #operand(): Operand {
    const first = this.#first();
    const next = this.#peek();
    if ((first.kind === 'pipe' || first.kind === 'variable') && next?.kind === 'path' && next.glued && next.text !== '.') {
      this.#at++;
      return { kind: 'path', of: first, names: next.text.slice(1).split('.') };
    }
    return first;
  }

  #first(): Operand {
    const token = this.#peek() ?? this.#fail();
    this.#at++;
    if (token.kind === 'string') return { kind: 'literal', value: token.text };
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind === 'variable') return { kind: 'variable', name: token.text };
    if (token.kind === 'path') return { kind: 'path', of: undefined, names: token.text.split('.').filter(Boolean) };
    if (token.kind === 'sign') {
      const pipe = this.#pipe();
      if (this.#peek()?.text !== ')') this.#fail();
      this.#at++;
      return { kind: 'pipe', pipe };
    }
    const literals: Readonly<Record<string, unknown>> = { true: true, false: false, nil: null };
    return token.text in literals ? { kind: 'literal', value: literals[token.text] } : { kind: 'function', name: token.text };
  }
}

/** Text and what stands between braces, by turns. `{{-` and `-}}` eat the space beside them. */
function pieces(template: string): { text: string; action?: string }[] {
  const out: { text: string; action?: string }[] = [];
  let rest = template;
  for (let open = rest.indexOf('{{'); open >= 0; open = rest.indexOf('{{')) {
    const match = /^\{\{(-\s)?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`])*?)(\s-)?\}\}/.exec(rest.slice(open));
    if (!match) throw new TemplateSyntaxError(`template: ${rest.slice(open)} has no end: close it with }}`);
    const text = rest.slice(0, open);
    out.push({ text: match[1] ? text.trimEnd() : text, action: (match[2] ?? '').trim() });
    rest = rest.slice(open + match[0].length);
    if (match[3]) rest = rest.trimStart();
  }
  return [...out, { text: rest }];
}

interface Frame {
  readonly kind: 'if' | 'range' | 'with';
  readonly pipe: Pipe;
  readonly body: Node[];
  readonly otherwise: Node[];
  inElse: boolean;
  /** `else if` ends together with what it is in. */
  readonly chained: boolean;
}

/** Errors: TemplateError. */
export function parseTemplate(template: string): readonly Node[] {
  const top: Node[] = [];
  const frames: Frame[] = [];
  const out = (): Node[] => {
    const frame = frames.at(-1);
    return frame ? (frame.inElse ? frame.otherwise : frame.body) : top;
  };
  const open = (kind: Frame['kind'], text: string, chained: boolean): void => {
    const frame: Frame = { kind, pipe: new ActionParser(text).pipe(), body: [], otherwise: [], inElse: false, chained };
    out().push(frame);
    frames.push(frame);
  };
  for (const { text, action } of pieces(template)) {
    if (text !== '') out().push({ kind: 'text', text });
    if (action === undefined || action.startsWith('/*')) continue;
    const [, word = '', more = ''] = /^(if|range|with|else|end)\b\s*(.*)$/s.exec(action) ?? [];
    if (word === '') out().push({ kind: 'action', pipe: new ActionParser(action).pipe() });
    else if (word === 'end') {
      let frame = frames.pop();
      if (!frame) throw new TemplateSyntaxError('template: unexpected {{end}}');
      while (frame?.chained) frame = frames.pop();
    } else if (word === 'else') {
      const frame = frames.at(-1);
      if (!frame || frame.inElse) throw new TemplateSyntaxError('template: unexpected {{else}}');
      frame.inElse = true;
      if (more !== '') open('if', more.replace(/^if\b/, ''), true);
    } else open(word as Frame['kind'], more, false);
  }
  if (frames.length > 0) throw new TemplateSyntaxError(`template: {{${frames[0]?.kind ?? ''}}} has no {{end}}`);
  return top;
}
