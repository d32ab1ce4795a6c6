// Go templates as `--format` takes them, run on a value. Called by table.ts. Pure.

import { Nil, entriesOf, goJson, goValue } from './go-values.js';
import { type Node, type Operand, type Pipe, TemplateError, parseTemplate } from './template-parse.js';

export { TemplateError };

/** As Go prints a value: `[a b]`, `map[k:v]`, `{a b}`, `<no value>`. */
export function printed(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (value instanceof Nil) return value.text;
  if (Array.isArray(value)) return `[${value.map(printed).join(' ')}]`;
  if (value instanceof Map)
    return `map[${entriesOf(value)
      .map(([key, each]) => `${String(key)}:${printed(each)}`)
      .join(' ')}]`;
  if (typeof value === 'object') return `{${Object.values(value).map(printed).join(' ')}}`;
  return `${value as string | number | boolean}`;
}

function isTrue(value: unknown): boolean {
  if (value instanceof Nil) return false;
  if (value instanceof Map) return value.size > 0;
  if (Array.isArray(value)) return value.length > 0;
  return Boolean(value);
}

function fieldOf(value: unknown, names: readonly string[], args: readonly unknown[]): unknown {
  let at = value;
  for (const name of names) {
    if (at instanceof Nil || at instanceof Map) {
      if (at instanceof Nil && at.kind === 'pointer')
        throw new TemplateError(`template: nil pointer evaluating .${names.join('.')}: ask with {{if}} or {{with}} first`);
      at = at instanceof Map ? at.get(name) : undefined;
      continue;
    }
    const known = typeof at === 'object' && at !== null ? Object.keys(at) : [];
    if (typeof at !== 'object' || at === null || !(known.includes(name) || Object.hasOwn(at, name))) {
      const next = known.length > 0 ? `use one of ${known.map((key) => `.${key}`).join(', ')}` : 'it has no fields';
      throw new TemplateError(`template: there is no field .${names.join('.')}: ${next}`);
    }
    at = (at as Record<string, unknown>)[name];
  }
  return typeof at === 'function' ? (at as (...args: unknown[]) => unknown)(...args) : at;
}

function indexOf(value: unknown, ...keys: readonly unknown[]): unknown {
  return keys.reduce((at: unknown, key) => {
    if (Array.isArray(at)) {
      if (typeof key === 'number' && key >= 0 && key < at.length) return at[key] as unknown;
      throw new TemplateError(`template: index out of range: ${printed(key)}`);
    }
    if (at instanceof Map) return at.get(String(key)) ?? '';
    if (at instanceof Nil && at.kind === 'map') return '';
    if (typeof at === 'object' && at !== null && !(at instanceof Nil))
      return Object.hasOwn(at, String(key)) ? (at as Record<string, unknown>)[String(key)] : '';
    throw new TemplateError(`template: index of ${printed(at)}: it is neither a list nor a map`);
  }, value);
}

function format(pattern: unknown, ...args: readonly unknown[]): string {
  let next = 0;
  return String(pattern).replace(
    /%(-?\d*)(?:\.(\d+))?([sdvqtf%])/g,
    (_, width: string, digits: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const value = args[next++];
      const shown = verb === 's' && digits !== undefined ? printed(value).slice(0, Number(digits)) : printed(value);
      const text = verb === 'q' ? JSON.stringify(value) : verb === 'f' ? Number(value).toFixed(Number(digits ?? 6)) : shown;
      return width.startsWith('-') ? text.padEnd(-Number(width)) : text.padStart(Number(width));
    },
  );
}

function compare(a: unknown, b: unknown): number {
  if (typeof a !== typeof b) throw new TemplateError(`template: ${printed(a)} and ${printed(b)} are not of one kind`);
  return (a as number) < (b as number) ? -1 : a === b ? 0 : 1;
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value === 'object' && value !== null) return entriesOf(value).length;
  throw new TemplateError(`template: len of ${printed(value)}: it has no length`);
}

const FUNCTIONS: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
  json: goJson,
  len: lengthOf,
  index: indexOf,
  join: (list, by) => (Array.isArray(list) ? list.map(printed).join(String(by)) : ''),
  split: (text, by) => String(text).split(String(by)),
  slice: (value, from, to) => (value as string | unknown[]).slice(Number(from ?? 0), to === undefined ? undefined : Number(to)),
  upper: (text) => String(text).toUpperCase(),
  lower: (text) => String(text).toLowerCase(),
  title: (text) => String(text).replace(/\b\w/g, (letter) => letter.toUpperCase()),
  pad: (text, before, after) => `${' '.repeat(Number(before))}${String(text)}${' '.repeat(Number(after))}`,
  truncate: (text, length) => String(text).slice(0, Number(length)),
  print: (...args) => args.map(printed).join(''),
  println: (...args) => `${args.map(printed).join(' ')}\n`,
  printf: format,
  eq: (first, ...others) => others.some((other) => first === other),
  ne: (a, b) => a !== b,
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  not: (value) => !isTrue(value),
};

type Variables = Readonly<Record<string, unknown>>;

class Run {
  #out = '';

  take(nodes: readonly Node[], dot: unknown, variables: Variables): string {
    this.#nodes(nodes, dot, variables);
    return this.#out;
  }

  #nodes(nodes: readonly Node[], dot: unknown, outer: Variables): void {
    let variables = outer;
    for (const node of nodes) {
      if (node.kind === 'text') this.#out += node.text;
      else if (node.kind === 'action') {
        const value = this.#pipe(node.pipe, dot, variables);
        const [name] = node.pipe.declares;
        if (name === undefined) this.#out += printed(value);
        else variables = { ...variables, [name]: value };
      } else this.#block(node, dot, variables);
    }
  }

  #block(node: Exclude<Node, { kind: 'text' | 'action' }>, dot: unknown, variables: Variables): void {
    const value = this.#pipe(node.pipe, dot, variables);
    const names = node.pipe.declares;
    if (!isTrue(value)) return this.#nodes(node.otherwise, dot, variables);
    if (node.kind !== 'range') {
      const inside = names[0] === undefined ? variables : { ...variables, [names[0]]: value };
      return this.#nodes(node.body, node.kind === 'with' ? value : dot, inside);
    }
    if (typeof value !== 'object' || value === null)
      throw new TemplateError(`template: range over ${printed(value)}: it is no list`);
    for (const [key, each] of entriesOf(value)) {
      const [first, second] = names;
      const own =
        second !== undefined && first !== undefined
          ? { [first]: key, [second]: each }
          : first !== undefined
            ? { [first]: each }
            : {};
      this.#nodes(node.body, each, { ...variables, ...own });
    }
  }

  #pipe(pipe: Pipe, dot: unknown, variables: Variables): unknown {
    let carried: readonly unknown[] = [];
    for (const command of pipe.commands) carried = [this.#command(command, carried, dot, variables)];
    return carried[0];
  }

  #command([head, ...rest]: readonly Operand[], carried: readonly unknown[], dot: unknown, variables: Variables): unknown {
    if (!head) return undefined;
    if (head.kind === 'function' && (head.name === 'and' || head.name === 'or')) {
      let value: unknown;
      for (const operand of rest) {
        value = this.#value(operand, dot, variables);
        if (isTrue(value) === (head.name === 'or')) return value;
      }
      return carried.length > 0 ? carried[0] : value;
    }
    const args = (): unknown[] => [...rest.map((operand) => this.#value(operand, dot, variables)), ...carried];
    if (head.kind === 'function') return this.#call(head.name, args());
    if (head.kind === 'path') return fieldOf(head.of ? this.#value(head.of, dot, variables) : dot, head.names, args());
    if (rest.length + carried.length > 0) throw new TemplateError('template: only functions and methods take arguments');
    return this.#value(head, dot, variables);
  }

  #call(name: string, args: unknown[]): unknown {
    const found = FUNCTIONS[name];
    if (!Object.hasOwn(FUNCTIONS, name) || !found) {
      throw new TemplateError(
        `template: function ${JSON.stringify(name)} not defined: there are ${Object.keys(FUNCTIONS).join(', ')}, and, or`,
      );
    }
    return found(...args);
  }

  #value(operand: Operand, dot: unknown, variables: Variables): unknown {
    switch (operand.kind) {
      case 'literal':
        return operand.value;
      case 'variable':
        if (!Object.hasOwn(variables, operand.name))
          throw new TemplateError(`template: undefined variable ${JSON.stringify(operand.name)}`);
        return variables[operand.name];
      case 'path':
        return fieldOf(operand.of ? this.#value(operand.of, dot, variables) : dot, operand.names, []);
      case 'pipe':
        return this.#pipe(operand.pipe, dot, variables);
      case 'function':
        return this.#call(operand.name, []);
    }
  }
}

/** A whole value as `--format` asks: `json`, or a template. Errors: TemplateError. */
export function formatted(value: unknown, format: string): string {
  return format === 'json' ? JSON.stringify(value) : fillTemplate(format, value);
}

/** Fills a template from `value`; `\t` and `\n` outside of strings are understood, as in Docker. Errors: TemplateError. */
export function fillTemplate(template: string, value: unknown): string {
  const text = template.replace(/\\([tn])/g, (_, letter: string) => (letter === 't' ? '\t' : '\n'));
  const dot = goValue(value);
  return new Run().take(parseTemplate(text), dot, { $: dot });
}
