// docs/guide.md, literally: each of its command lines is given to a shell as it stands, with `lamina` and with `docker` in its
// place, and has a check here. A command without a check fails, and so does a check without a command.

import { existsSync, mkdirSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { type Done, command, waitFor } from '../support/command.js';
import { EngineRig, clients } from '../support/engine-rig.js';
import { checkout } from '../support/paths.js';
import { APP, buildStandIns } from '../support/stand-ins.js';

const COMMANDS = [...readFileSync(join(checkout, 'docs', 'guide.md'), 'utf8').matchAll(/^ {4}\$ (.*)$/gm)].map(
  ([, line = '']) => line,
);
/** The guide's own place on the host. */
const SOURCE = '/src/webapp';

function page(url: string): Promise<string> {
  return new Promise((resolve) => {
    get(url, { agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    }).on('error', (error) => resolve(error.message));
  });
}

type Check = (t: Test, done: Done) => Promise<void>;

class Reader {
  constructor(
    readonly rig: EngineRig,
    readonly client: string,
  ) {}

  must(...args: string[]): Promise<string> {
    return this.rig.must(this.client, ...args);
  }

  /** A line of the guide; `sudo` is what it is to root. */
  type(line: string): Promise<Done> {
    return this.rig.sh(line.replace(/\blamina\b/, this.client).replace(/^sudo /, ''));
  }

  async sourceOf(container: string): Promise<string> {
    return this.must('inspect', '-f', '{{range .Mounts}}{{.Source}}{{end}}', container);
  }

  /** Waits for the web server behind the port that -P chose. */
  async serves(what: string): Promise<void> {
    const port = /:(\d+)$/m.exec(await this.must('port', 'web', '5000'))?.[1] ?? '';
    let last = '';
    await waitFor(`the page to be ${what}`, async () => (last = await page(`http://127.0.0.1:${port}/`)) === what).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)}; it was ${last}; ${(await this.rig.run(this.client, 'logs', 'web')).stderr}`);
      },
    );
  }

  checks(): Record<string, Check> {
    return {
      'sudo lamina run -d -P --name web -v /webapp training/webapp python app.py': async (t, done) => {
        t.match(done, { code: 0, stdout: /^[0-9a-f]{64}\n$/, stderr: '' });
        await this.serves('Hello world!');
        const source = await this.sourceOf('web');
        t.match(source, /\/volumes\/[0-9a-f]{64}\/_data$/);
        await this.must('exec', 'web', 'sh', '-c', 'echo in > /webapp/f');
        t.equal(readFileSync(join(source, 'f'), 'utf8'), 'in\n');
      },
      'sudo lamina run -d -P --name web -v /src/webapp:/opt/webapp training/webapp python app.py': async (t, done) => {
        t.match(done, { code: 125, stderr: /The container name "\/web" is already in use by container "[0-9a-f]{64}"/ });
        await this.must('rm', '-f', '-v', 'web');
        t.notOk(existsSync(SOURCE));
        const again = await this.type(COMMANDS[1] ?? '');
        t.match(again, { code: 0, stdout: /^[0-9a-f]{64}\n$/ });
        t.ok(existsSync(SOURCE), 'the missing directory is made');
        t.equal(await this.must('wait', 'web'), '2', 'what the image has there is hidden: Python finds no app.py');
        writeFileSync(join(SOURCE, 'app.py'), APP);
        writeFileSync(join(SOURCE, 'page'), 'first');
        await this.must('start', 'web');
        await this.serves('first');
        writeFileSync(join(SOURCE, 'page'), 'second');
        await this.serves('second');
        await this.must('exec', 'web', 'sh', '-c', 'echo -n inside > /opt/webapp/page');
        t.equal(readFileSync(join(SOURCE, 'page'), 'utf8'), 'inside');
        await this.must('rm', '-f', 'web');
        t.ok(existsSync(join(SOURCE, 'app.py')));
      },
      'sudo lamina run -d -P --name web -v /src/webapp:/opt/webapp:ro training/webapp python app.py': async (t, done) => {
        t.match(done, { code: 0, stdout: /^[0-9a-f]{64}\n$/ });
        await this.serves('inside');
        t.match(await this.rig.run(this.client, 'exec', 'web', 'touch', '/opt/webapp/x'), {
          code: 1,
          stderr: /Read-only file system/,
        });
        t.notOk(existsSync(join(SOURCE, 'x')));
        writeFileSync(join(SOURCE, 'page'), 'by the host');
        await this.serves('by the host');
        await this.must('rm', '-f', 'web');
      },
      'lamina run -d -v /dbdata --name dbdata training/postgres': async (t, done) => this.takes(t, done, 'dbdata', 1),
      'lamina run -d --volumes-from dbdata --name db1 training/postgres': async (t, done) => this.takes(t, done, 'db1', 2),
      'lamina run -d --volumes-from dbdata --name db2 training/postgres': async (t, done) => this.takes(t, done, 'db2', 3),
      'lamina run -d --name db3 --volumes-from db1 training/postgres': async (t, done) => this.takes(t, done, 'db3', 4),
      'sudo lamina run --volumes-from dbdata -v $(pwd):/backup ubuntu tar cvf /backup/backup.tar /dbdata': async (t, done) => {
        t.match(done, { code: 0, stdout: '/dbdata/\n/dbdata/table\n', stderr: /Removing leading `\/' from member names/ });
        const listed = await command(['tar', 'tf', this.rig.path('backup.tar')]);
        t.equal(listed.stdout, 'dbdata/\ndbdata/table\n');
      },
      'sudo lamina run -v /dbdata --name dbdata2 ubuntu': async (t, done) => {
        t.match(done, { code: 0, stdout: '', stderr: '' }, 'bash without a terminal ends at once');
        t.equal(await this.must('run', '--rm', '--volumes-from', 'dbdata2', 'busybox', 'ls', '/dbdata'), '');
      },
      'sudo lamina run --volumes-from dbdata2 -v $(pwd):/backup busybox tar xvf /backup/backup.tar': async (t, done) => {
        t.match(done, { code: 0, stdout: 'dbdata/\ndbdata/table\n' });
        const table = (name: string): Promise<string> =>
          this.must('run', '--rm', '--volumes-from', name, 'busybox', 'cat', '/dbdata/table');
        t.equal(await table('dbdata2'), await table('dbdata'));
      },
    };
  }

  /** `name` has dbdata's volume, in which by now `rows` containers have written theirs. */
  async takes(t: Test, done: Done, name: string, rows: number): Promise<void> {
    t.match(done, { code: 0, stdout: /^[0-9a-f]{64}\n$/ });
    const table = join(await this.sourceOf('dbdata'), 'table');
    await waitFor(`${rows} rows`, () => existsSync(table) && readFileSync(table, 'utf8').split('\n').length === rows + 1);
    t.equal(await this.must('exec', name, 'cat', '/dbdata/table'), readFileSync(table, 'utf8').trimEnd());
    t.equal(await this.sourceOf(name), await this.sourceOf('dbdata'));
  }
}

void t.test('docs/guide.md', { timeout: 120_000 }, async (t) => {
  if (existsSync(SOURCE)) throw new Error(`${SOURCE}, the guide's directory, is in use on this machine`);
  const rig = new EngineRig();
  const made = mkdirSync(dirname(SOURCE), { recursive: true });
  t.teardown(async () => {
    await rig.end();
    rmSync(SOURCE, { recursive: true, force: true });
    if (made !== undefined) rmdirSync(made);
  });
  await rig.start();
  await rig.loadImages();
  await buildStandIns(rig);
  for (const client of clients) {
    await t.test(`typed with ${client}`, async (t) => {
      const reader = new Reader(rig, client);
      const checks = reader.checks();
      t.same(COMMANDS, Object.keys(checks), 'each command has a check, each check its command');
      for (const line of COMMANDS) {
        await t.test(`$ ${line.replace(/\blamina\b/, client)}`, async (t) => checks[line]?.(t, await reader.type(line)));
      }
      await t.test('the volume is there until its last container has gone', async (t) => {
        const source = await reader.sourceOf('dbdata');
        const rows = readFileSync(join(source, 'table'), 'utf8').trimEnd();
        const tars = await reader.must('ps', '-aq', '--filter', 'ancestor=ubuntu', '--filter', `volume=/dbdata`);
        await reader.must('rm', ...tars.split('\n'));
        await reader.must('rm', '-f', '-v', 'dbdata');
        await reader.must('rm', '-f', '-v', 'db1', 'db2');
        t.equal(await reader.must('exec', 'db3', 'cat', '/dbdata/table'), rows);
        await reader.must('rm', '-f', '-v', 'db3');
        t.notOk(existsSync(source));
      });
      await reader.must('rm', '-f', '-v', ...(await reader.must('ps', '-aq')).split('\n').filter(Boolean));
      rmSync(SOURCE, { recursive: true, force: true });
      rmSync(rig.path('backup.tar'));
    });
  }
  t.equal(rig.log().replace(/^.*API listens on.*\n/gm, ''), '', 'the daemon had nothing to complain of');
});
