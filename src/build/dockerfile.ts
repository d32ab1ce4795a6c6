// A Dockerfile cut into its instructions: continued lines joined, comments gone, here-documents taken along, as Docker's
// parser does. dockerfile-ast finds where instructions begin; an editor's parser, it is lenient about where they end, so each
// end is checked against Docker's rules and the rest is read again from there when they differ. Pure.

import { DockerfileParser } from 'dockerfile-ast';
import { BuildError, parseError } from './build-error.js';
import { expandWords, rawWords, SubstitutionError } from './shell-words.js';

export interface Heredoc {
  readonly name: string;
  /** With its last line end; tabs at the beginning of lines are gone when `<<-` asked for that. */
  readonly content: string;
  /** Whether variables are put in: the name stood without quotes. */
  readonly expand: boolean;
  /** As in the Dockerfile, with the tabs and the line that ends it. */
  readonly source: string;
}

export interface RawInstruction {
  /** Upper case. */
  readonly keyword: string;
  /** The logical line, as steps print it. */
  readonly original: string;
  /** What follows the keyword, trimmed. */
  readonly rest: string;
  readonly heredocs: readonly Heredoc[];
  /** From 1. */
  readonly line: number;
}

export interface Dockerfile {
  readonly escape: string;
  readonly instructions: readonly RawInstruction[];
}

const DIRECTIVES: readonly string[] = ['escape', 'syntax', 'check'];
const WITH_HEREDOCS: readonly string[] = ['ADD', 'COPY', 'RUN'];

function escapeCharacter(text: string): string {
  const seen = new Set<string>();
  let escape = '\\';
  for (const directive of DockerfileParser.parse(text).getDirectives()) {
    const name = directive.getName().toLowerCase();
    const line = directive.getRange().start.line + 1;
    // An unknown one is a comment, and a comment ends the directives.
    if (!DIRECTIVES.includes(name)) break;
    if (seen.has(name)) throw parseError(line, `only one ${name} parser directive can be used`);
    seen.add(name);
    if (name !== 'escape') continue;
    escape = directive.getValue();
    if (escape !== '\\' && escape !== '`') throw parseError(line, `invalid escape token '${escape}' does not match \` or \\`);
  }
  return escape;
}

const isComment = (line: string): boolean => /^[ \t]*#/.test(line);

/** Reads one instruction from `lines`, which begin with its first one. */
class InstructionReader {
  #next = 0;

  constructor(
    private readonly lines: readonly string[],
    private readonly escape: string,
    private readonly line: number,
  ) {}

  read(): { instruction: RawInstruction; lines: number } {
    const original = this.#logicalLine();
    const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(original) ?? [];
    const keyword = word.toUpperCase();
    const inner = keyword === 'ONBUILD' ? (/^\S+/.exec(rest)?.[0] ?? '').toUpperCase() : keyword;
    const heredocs =
      WITH_HEREDOCS.includes(inner) && rest.includes('<<') ? this.#starts(rest).map((start) => this.#heredoc(start)) : [];
    return { instruction: { keyword, original, rest: rest.trim(), heredocs, line: this.line }, lines: this.#next };
  }

  /** The escape at the end of a line, unless it is escaped itself. */
  #continued(line: string): string | undefined {
    const match = /^(.*?)[ \t]*$/s.exec(line)?.[1] ?? '';
    if (!match.endsWith(this.escape) || match.endsWith(this.escape.repeat(2))) return undefined;
    return match.slice(0, -1);
  }

  #logicalLine(): string {
    let text = '';
    while (this.#next < this.lines.length) {
      const line = (this.lines[this.#next++] ?? '').replace(/\r$/, '');
      const isFirst = this.#next === 1;
      if (!isFirst && (isComment(line) || line.trim() === '')) continue;
      const own = isFirst ? line.trimStart() : line;
      const begun = this.#continued(own);
      text += begun ?? own;
      if (begun === undefined) break;
    }
    return text.trim();
  }

  #starts(rest: string): { name: string; chomp: boolean; expand: boolean }[] {
    let words: string[];
    try {
      words = rawWords(rest, this.escape);
    } catch (error) {
      // Quotes that never close are the shell's affair.
      if (error instanceof SubstitutionError) return [];
      throw error;
    }
    return words.flatMap((word) => {
      const [, dash, raw = ''] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
      const names = raw === '' ? [] : expandWords(raw, () => undefined, { escape: this.escape });
      const [name] = names;
      if (name === undefined || names.length !== 1) return [];
      return [{ name, chomp: dash === '-', expand: name === raw }];
    });
  }

  #heredoc({ name, chomp, expand }: { name: string; chomp: boolean; expand: boolean }): Heredoc {
    let content = '';
    let source = '';
    while (this.#next < this.lines.length) {
      const line = this.lines[this.#next++] ?? '';
      const own = chomp ? line.replace(/^\t+/, '') : line;
      if (own.replace(/\r$/, '') === name) return { name, content, expand, source: `${source}${line}\n` };
      content += `${own}\n`;
      source += `${line}\n`;
    }
    throw parseError(this.line, 'unterminated heredoc');
  }
}

/** Where instructions begin and end, in lines, as dockerfile-ast sees them. */
function extents(lines: readonly string[], escape: string): { start: number; end: number }[] {
  // A blank line ends the directives, so that a comment of the rest is not taken for one.
  const text = `# escape=${escape}\n\n${lines.join('\n')}`;
  return DockerfileParser.parse(text)
    .getInstructions()
    .map((each) => ({ start: each.getRange().start.line - 2, end: each.getRange().end.line - 1 }));
}

/** Instructions of `text`, whose first line has the number `line`. Errors: BuildError. */
export function readInstructions(text: string, escape: string, line = 1): RawInstruction[] {
  const lines = text.split('\n');
  const found: RawInstruction[] = [];
  for (let at = 0; at < lines.length;) {
    const base = at;
    at = lines.length;
    for (const { start, end } of extents(lines.slice(base), escape)) {
      const first = base + start;
      const reader = new InstructionReader(lines.slice(first), escape, line + first);
      const { instruction, lines: length } = reader.read();
      found.push(instruction);
      if (first + length !== base + end && !onlyBlank(lines, first + length, base + end)) {
        at = first + length;
        break;
      }
    }
  }
  return found;
}

/** Whether nothing that counts lies between two ends. */
function onlyBlank(lines: readonly string[], a: number, b: number): boolean {
  return lines.slice(Math.min(a, b), Math.max(a, b)).every((line) => line.trim() === '' || isComment(line));
}

/** Cuts a Dockerfile into instructions. Errors: BuildError. */
export function readDockerfile(text: string): Dockerfile {
  const body = text.replace(/^\uFEFF/, '');
  const escape = escapeCharacter(body);
  const instructions = readInstructions(body, escape);
  if (instructions.length === 0) throw new BuildError('dockerfile parse error: file with no instructions', 400);
  return { escape, instructions };
}
