// `build`, with lamina's command line and with Docker's: what the image holds, what is cached, what is left behind.

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { command, waitFor } from '../support/command.js';
import { call } from '../support/engine-api.js';
import { EngineRig, clients } from '../support/engine-rig.js';

function writeContext(directory: string, files: Readonly<Record<string, string>>): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return directory;
}

const DOCKERFILE = `ARG BASE=busybox
FROM \${BASE} AS tools
ARG WHO=me
ENV GREETING="hello $WHO"
RUN echo "$GREETING" > /out && mkdir /d && echo x > /d/x && chown 5:6 /d/x
FROM busybox
WORKDIR /srv/app
COPY --from=tools /out /d ./
COPY --chown=7:8 --chmod=0640 a.txt sub /x/
COPY *.cfg /etc/app/
ADD packed.tar.gz /y/
COPY <<EOF /inline
from the Dockerfile
EOF
RUN <<SCRIPT
echo one > /script
echo two >> /script
SCRIPT
VOLUME /data
EXPOSE 80 53/udp
LABEL a="b c"
USER 1000:7
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD true
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["/bin/cat"]
CMD ["out"]
`;

for (const client of clients) {
  void t.test(`build, typed with ${client}`, { timeout: 180_000 }, async (t) => {
    const rig = new EngineRig();
    t.teardown(() => rig.end());
    await rig.start();
    await rig.loadImages();
    const must = (...args: string[]): Promise<string> => rig.must(client, ...args);
    const run = (...args: string[]): ReturnType<EngineRig['run']> => rig.run(client, ...args);
    const context = writeContext(rig.path('context'), {
      Dockerfile: DOCKERFILE,
      'a.txt': 'a',
      'sub/b.txt': 'b',
      'sub/deep/c.txt': 'c',
      'one.cfg': '1',
      'two.cfg': '2',
      'secret.key': 'no',
      'packed/in': 'in',
      '.dockerignore': '# not these\n*.key\nsub/deep\n!keep.key\n',
      'keep.key': 'yes',
    });
    await command(['tar', '-C', context, '-czf', join(context, 'packed.tar.gz'), 'packed'], {});
    symlinkSync('a.txt', join(context, 'link.cfg'));
    chmodSync(join(context, 'sub/b.txt'), 0o755);

    await t.test('the instructions', async (t) => {
      const told = await must('build', '-t', 'app:1', '-t', 'app:too', '--build-arg', 'WHO=you', '--label', "it's=1", context);
      t.match(told, /Step 1\/\d+ : ARG BASE=busybox\n/);
      t.match(told, /Successfully built [0-9a-f]{12}\n[^]*Successfully tagged app:1\n[^]*Successfully tagged app:too/);
      t.equal(await must('run', '--rm', 'app:1'), 'hello you');
      const sh = (line: string): Promise<string> => must('run', '--rm', '--user', '0', '--entrypoint', 'sh', 'app:1', '-c', line);
      t.equal(await sh('cat /srv/app/x; stat -c %u:%g /srv/app/x /srv/app/out'), 'x\n5:6\n0:0');
      t.equal(await sh('cd /x && find . | sort | xargs stat -c "%n %u:%g %a"'), '. 7:8 755\n./a.txt 7:8 640\n./b.txt 7:8 640');
      t.equal(await sh('cat /etc/app/one.cfg /etc/app/two.cfg /etc/app/link.cfg; ls /etc/app'), '12alink.cfg\none.cfg\ntwo.cfg');
      t.equal(await sh('cat /y/packed/in /inline /script'), 'infrom the Dockerfile\none\ntwo');
      const config = JSON.parse(await must('image', 'inspect', '--format', '{{json .Config}}', 'app:1')) as object;
      t.match(config, {
        Cmd: ['out'],
        Entrypoint: ['/bin/cat'],
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
        Labels: { a: 'b c', "it's": '1' },
        Shell: ['/bin/sh', '-ec'],
        StopSignal: 'SIGINT',
        User: '1000:7',
        Volumes: { '/data': {} },
        WorkingDir: '/srv/app',
        Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5e9 },
      });
      t.equal((await must('ps', '-aq')).trim(), '', 'no container of a step is left');
      const rows = (await must('images')).split('\n').filter((row) => row.startsWith('<none>'));
      t.equal(rows.length, 1, 'of the images of steps only the end of the first stage is shown');
    });

    await t.test('history names the images of the steps', async (t) => {
      writeContext(rig.path('steps'), { Dockerfile: 'FROM busybox\nLABEL a=1\nRUN touch /f\n' });
      const told = await must('build', '-t', 'steps:1', rig.path('steps'));
      const steps = [...told.matchAll(/^ ---> ([0-9a-f]{12})$/gm)].map(([, id]) => id).reverse();
      t.equal(steps.length, 3);
      t.same((await must('history', '-q', 'steps:1')).split('\n').slice(0, 3), steps);
      const rows = JSON.parse((await call(rig.socket, 'GET', '/images/steps:1/history')).body) as { Tags: string[] | null }[];
      t.same([rows[0]?.Tags, rows[1]?.Tags, rows[2]?.Tags?.includes('busybox:latest')], [['steps:1'], null, true]);
      await must('rmi', 'steps:1');
    });

    await t.test('the cache', async (t) => {
      const again = await must('build', '-t', 'app:1', '--build-arg', 'WHO=you', '--label', "it's=1", context);
      t.notMatch(again, /Running in/);
      t.match(again, /Using cache/);
      t.match(await must('build', '-t', 'app:2', '--build-arg', 'WHO=her', context), /Running in/, 'another argument');
      t.equal(await must('run', '--rm', 'app:2'), 'hello her');
      writeFileSync(join(context, 'a.txt'), 'changed');
      const changed = await must('build', '-t', 'app:3', '--build-arg', 'WHO=her', context);
      t.match(
        changed,
        /COPY --from=tools[^\n]*\n ---> Using cache\n[^]*COPY --chown=7:8[^\n]*\n ---> [0-9a-f]/,
        'a changed file',
      );
      t.match(await must('build', '--no-cache', '-q', context), /^sha256:[0-9a-f]{64}$/);
    });

    await t.test('one stage, another file, an archive on stdin', async (t) => {
      writeContext(context, {
        'other/Dockerfile.two': 'FROM busybox AS one\nRUN echo 1 > /f\nFROM one AS two\nRUN echo 2 >> /f\nFROM two\nRUN false\n',
      });
      await must('build', '-t', 'two', '-f', join(context, 'other/Dockerfile.two'), '--target', 'two', context);
      t.equal(await must('run', '--rm', 'two', 'cat', '/f'), '1\n2');
      const piped = await rig.sh(`tar -C ${context} -cz . | ${client} build -q -f other/Dockerfile.two --target one -`);
      t.match(piped, { code: 0, stdout: /^sha256:/ });
    });

    await t.test('ONBUILD', async (t) => {
      writeContext(rig.path('onbuild'), {
        Dockerfile: 'FROM busybox\nONBUILD COPY f /got\nONBUILD RUN echo more >> /got\n',
        f: 'x\n',
      });
      await must('build', '-t', 'parent', rig.path('onbuild'));
      writeContext(rig.path('child'), { Dockerfile: 'FROM parent\n', f: 'y\n' });
      t.match(await must('build', '-t', 'child', rig.path('child')), /# Executing 2 build triggers/);
      t.equal(await must('run', '--rm', 'child', 'cat', '/got'), 'y\nmore');
    });

    await t.test('what fails says why, and leaves nothing', async (t) => {
      const before = await must('images', '-aq');
      const failing: readonly (readonly [dockerfile: string, message: RegExp, code: number])[] = [
        [
          'FROM busybox\nRUN echo told; exit 3\n',
          /told[^]*The command '\/bin\/sh -c echo told; exit 3' returned a non-zero code: 3/,
          3,
        ],
        [
          'FROM busybox\nCOPY nope /\n',
          /COPY failed: file not found in build context or excluded by \.dockerignore: stat nope: file does not exist/,
          1,
        ],
        ['FROM busybox\nCOPY ../x /\n', /forbidden path outside the build context: \.\.\/x/, 1],
        ['FROM busybox\nCOPY secret.key /\n', /file not found in build context/, 1],
        ['FROM busybox\nNOSUCH x\n', /dockerfile parse error on line 2: unknown instruction: NOSUCH/i, 1],
        ['FROM busybox\nRUN --mount=type=cache,target=/x true\n', /requires BuildKit/, 1],
        ['RUN true\n', /no build stage in current context/, 1],
        ['', /cannot be empty|no instructions/, 1],
        ['FROM busybox\nCOPY a.txt one.cfg /file\n', /destination must be a directory and end with a \//, 1],
        ['FROM busybox\nADD http://127.0.0.1:9/x /\n', /ADD failed: Get "http:\/\/127\.0\.0\.1:9\/x": .*ECONNREFUSED/, 1],
        ['FROM busybox\nADD git://127.0.0.1:9/x /\n', /would have to be fetched/, 1],
      ];
      for (const [dockerfile, message, code] of failing) {
        writeFileSync(join(context, 'Dockerfile.bad'), dockerfile);
        const done = await run('build', '-f', join(context, 'Dockerfile.bad'), context);
        t.match(`${done.stdout}${done.stderr}`, message);
        t.equal(done.code, code, dockerfile);
      }
      t.match(await run('build', '-f', join(context, 'Dockerfile.none'), context), { code: 1, stderr: /Dockerfile\.none/ });
      t.match(await run('build', rig.path('nowhere')), { code: 1, stderr: /nowhere/ });
      t.equal((await must('ps', '-aq')).trim(), '');
      t.equal(await must('images', '-aq'), before);
    });

    await t.test('what was only there to make an image goes with it', async (t) => {
      const names = (await must('images', '--format', '{{.Repository}}:{{.Tag}}')).split('\n');
      for (const name of names.filter((each) => /^(app|two|child|parent):/.test(each))) await must('rmi', name);
      await must('image', 'prune', '-f');
      t.equal(new Set((await must('images', '-aq')).split('\n')).size, 1, 'only busybox is left');
    });
  });
}

void t.test('a build whose client or daemon goes away leaves no container', { timeout: 120_000 }, async (t) => {
  const rig = new EngineRig();
  t.teardown(() => rig.end());
  await rig.start();
  await rig.loadImages();
  const context = writeContext(rig.path('context'), { Dockerfile: 'FROM busybox\nRUN echo begun; sleep 1000\n' });
  const begin = async (): Promise<ReturnType<typeof spawn>> => {
    const child = spawn('lamina', ['build', context], { env: { ...process.env, ...rig.env }, stdio: 'ignore' });
    await waitFor('the step to run', async () => (await rig.must('lamina', 'ps', '-q')) !== '');
    return child;
  };
  const client = await begin();
  client.kill('SIGKILL');
  await waitFor('the step to be gone', async () => (await rig.must('lamina', 'ps', '-aq')) === '');
  await begin();
  await rig.kill();
  await rig.start();
  t.equal(await rig.must('lamina', 'ps', '-aq'), '', 'the next start removes it');
});
