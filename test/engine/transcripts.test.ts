// What users of Docker type beyond the guide, and what Docker shows: transcripts/*.txt, each section typed with `lamina` and with
// a real `docker`. `$` begins a line for sh ($C is the client); below it are its output, `! ` before what went to stderr, and
// `=> N` for an exit code. LAMINA_TRANSCRIPTS=record writes down what `docker` shows here: read it before it is kept.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { command } from '../support/command.js';
import { type ClientName, EngineRig, clients } from '../support/engine-rig.js';
import { checkout } from '../support/paths.js';

const directory = join(checkout, 'test', 'engine', 'transcripts');
const isRecording = process.env['LAMINA_TRANSCRIPTS'] === 'record';

interface Section {
  readonly title: string;
  readonly text: string;
}

function sectionsOf(file: string): Section[] {
  const parts = readFileSync(join(directory, file), 'utf8').split(/^# (.*)\n/m);
  return parts.slice(1).flatMap((title, i, all) => (i % 2 === 0 ? [{ title, text: (all[i + 1] ?? '').trimEnd() }] : []));
}

/** The same for both clients, all runs and machines. */
function neutral(text: string, dir: string): string {
  return text
    .replaceAll(dir, 'DIR')
    .replace(/\b[0-9a-f]{64}\b/g, 'ID')
    .replace(/^((docker|lamina): )?(Error response from daemon: )?/gm, '')
    .replace(/ +$/gm, '')
    .replace(/^\n?Run '(docker|lamina) .* --help' for more information\n/gm, '');
}

const rig = new EngineRig();
t.before(async () => {
  await rig.start();
  await rig.loadImages();
});
t.teardown(() => rig.end());

/** Runs the lines of a section in a directory of its own; gives them with what they showed. */
async function played(section: Section, client: ClientName, dir: string): Promise<string> {
  mkdirSync(dir, { recursive: true });
  const out: string[] = [];
  for (const [line] of section.text.matchAll(/^\$ .*$/gm)) {
    const done = await command(['sh', '-c', line.slice(2)], { env: { ...rig.env, C: client }, cwd: dir, limitMs: 60_000 });
    const errors = neutral(done.stderr, dir)
      .split('\n')
      .filter((each) => each !== '')
      .map((each) => `! ${each}\n`);
    const code = done.code === 0 ? '' : `=> ${done.code}\n`;
    out.push(`${line}\n${neutral(done.stdout, dir).replace(/([^\n])$/, '$1\n')}${errors.join('')}${code}`);
  }
  return out.join('').trimEnd();
}

for (const file of readdirSync(directory)) {
  const sections = sectionsOf(file);
  const shown: string[] = [];
  for (const client of isRecording ? (['docker'] as const) : clients) {
    for (const [i, section] of sections.entries()) {
      void t.test(`${section.title}, typed with ${client}`, { timeout: 120_000 }, async (t) => {
        const text = await played(section, client, rig.path(client, `${file}-${i}`));
        shown.push(`# ${section.title}\n${text}\n`);
        if (!isRecording) t.equal(text, section.text);
        t.equal(await rig.must(client, 'ps', '-aq'), '', 'no container is left');
        t.equal(await rig.must(client, 'volume', 'ls', '-q'), '', 'no volume is left');
      });
    }
  }
  t.teardown(() => (isRecording ? writeFileSync(join(directory, file), shown.join('\n')) : undefined));
}

void t.test('the daemon had nothing to complain of', (t) => {
  t.equal(rig.log().replace(/^.*API listens on.*\n/gm, ''), '');
  t.end();
});
