// Command lines: what is taken as what, and the words for what is wrong.

import t from 'tap';
import { helpText, parseArguments, type CommandSpec } from '../../src/cli/arguments.js';

const spec: CommandSpec = {
  command: 'lamina try',
  usage: '[OPTIONS] IMAGE',
  summary: 'Try it',
  flags: {
    volume: { short: 'v', takes: 'SPEC', many: true, help: 'A volume' },
    name: { takes: 'NAME', help: 'A name' },
    quiet: { short: 'q', help: 'Less' },
    interactive: { short: 'i', help: 'More' },
    'read-only': { help: 'No writes' },
  },
};

/** The flags with their values, and the rest after a bar. */
function show(argv: readonly string[], stopAtFirst = false): string {
  const args = parseArguments({ ...spec, stopAtFirst }, argv);
  const given = [...Object.keys(spec.flags), 'help'].filter((name) => args.has(name));
  const flags = given.map((name) => (args.all(name).join('') === '' ? name : `${name}=${args.all(name).join('+')}`));
  return [...flags, '|', ...args.rest].join(' ');
}

const understood: readonly (readonly [argv: readonly string[], shown: string])[] = [
  [[], '|'],
  [['image'], '| image'],
  [['-v', 'a:/b', '-v', 'c:/d', 'image'], 'volume=a:/b+c:/d | image'],
  [['-va:/b', '-v=c:/d', '--volume', 'e:/f', '--volume=g:/h=i'], 'volume=a:/b+c:/d+e:/f+g:/h=i |'],
  [['image', '-q', '--name', 'x'], 'name=x quiet | image'],
  [['-qi'], 'quiet interactive |'],
  [['-qiva:/b', 'image'], 'volume=a:/b quiet interactive | image'],
  [['-qv', 'a:/b'], 'volume=a:/b quiet |'],
  [['--read-only=true', '-q=1'], 'quiet read-only |'],
  [['--read-only', '--read-only=false', '-q', '-q=0'], '|'],
  [['--name', '-q'], 'name=-q |'],
  [['--name='], 'name |'],
  [['-q', '--', '-v', '--nope'], 'quiet | -v --nope'],
  [['-', '-q'], 'quiet | -'],
  [['-h'], 'help |'],
  [['--help'], 'help |'],
];
for (const [argv, shown] of understood) {
  void t.test(`${argv.join(' ') || '(nothing)'} is ${shown}`, (test) => {
    test.equal(show(argv), shown);
    test.end();
  });
}

void t.test('options may end at the first argument that is none', (test) => {
  test.equal(show(['-q', 'image', 'ls', '-v', '--nope'], true), 'quiet | image ls -v --nope');
  test.end();
});

const refused: readonly (readonly [argv: readonly string[], message: string])[] = [
  [['--nope'], 'unknown flag: --nope'],
  [['--nope=1'], 'unknown flag: --nope'],
  [['--vol', 'a'], 'unknown flag: --vol'],
  [['-x'], `unknown shorthand flag: 'x' in -x`],
  [['-qxi'], `unknown shorthand flag: 'x' in -qxi`],
  [['--name'], 'flag needs an argument: --name'],
  [['-v'], `flag needs an argument: 'v' in -v`],
  [['-qv'], `flag needs an argument: 'v' in -qv`],
  [['---name'], 'bad flag syntax: ---name'],
  [['--=x'], 'bad flag syntax: --=x'],
  [['--read-only=maybe'], 'invalid argument "maybe" for "--read-only" flag: strconv.ParseBool: parsing "maybe": invalid syntax'],
  [['-q=maybe'], 'invalid argument "maybe" for "-q, --quiet" flag: strconv.ParseBool: parsing "maybe": invalid syntax'],
];
for (const [argv, message] of refused) {
  void t.test(`${argv.join(' ')} is refused`, (test) => {
    test.throws(() => parseArguments(spec, argv), { name: 'UsageError', message, command: 'lamina try' });
    test.end();
  });
}

void t.test('-volume is -v with the value olume, as in Docker', (test) => {
  test.equal(show(['-volume']), 'volume=olume |');
  test.end();
});

void t.test('the last value of a repeated flag counts', (test) => {
  test.equal(parseArguments(spec, ['--name', 'a', '--name=b']).value('name'), 'b');
  test.equal(parseArguments(spec, []).value('name'), undefined);
  test.end();
});

void t.test('the table of flags makes the help', (test) => {
  test.equal(
    helpText(spec),
    `Usage:  lamina try [OPTIONS] IMAGE

Try it

Options:
  -v, --volume SPEC   A volume
      --name NAME     A name
  -q, --quiet         Less
  -i, --interactive   More
      --read-only     No writes
  -h, --help          Print this help
`,
  );
  test.end();
});
