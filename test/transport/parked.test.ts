// A copy-up that takes long: its data is copied on a thread, the request that needs it is parked, and nobody else waits.
// The lower layer here is a FUSE filesystem whose server is stopped in the middle of the copy.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { command, mustCommand, waitFor } from '../support/command.js';
import { privilegedRequired, unavailable } from '../support/mounts.js';
import { Root } from '../support/roots.js';
import { Stoppable } from '../support/stoppable.js';

const SIZE = 512 << 20;

/** Bytes that are in the copies under way. */
function copied(work: string): number {
  return readdirSync(work).reduce((sum, name) => sum + statSync(`${work}/${name}`).blocks * 512, 0);
}

interface Stopped {
  root: Root;
  lower: Stoppable;
  openers: ChildProcess[];
}

/** Until all wait for an open: a lookup that one of them waited for at first is over when another's is. */
async function untilOpening(root: Root, openers: readonly ChildProcess[]): Promise<void> {
  const wait = (): boolean => openers.every(({ pid }) => readFileSync(`/proc/${pid}/wchan`, 'latin1') === 'request_wait_answer');
  for (const absent of ['absent', 'absent too']) {
    await waitFor('all to open the file', wait);
    await command(['stat', `${root.target}/own/${absent}`]);
  }
  await waitFor('all to open the file', wait);
}

/** A root in which `count` processes open the lower file `big` for writing and wait, because the lower hangs. */
async function stoppedInCopy(t: Test, count: number): Promise<Stopped> {
  const root = new Root();
  const lower = new Stoppable();
  const openers: ChildProcess[] = [];
  t.teardown(async () => {
    lower.wake();
    for (const each of openers) each.kill('SIGKILL');
    await root.dispose();
    await lower.dispose();
  });
  mkdirSync(root.path('below'));
  writeFileSync(root.path('below/big'), 'begins');
  truncateSync(root.path('below/big'), SIZE);
  mkdirSync(`${root.upper}/own`); // where nothing asks the lower layer
  await lower.serve(root.path('below'));
  await root.mount('--lower', lower.path);
  await mustCommand(['stat', `${root.target}/big`, `${root.target}/own`]);
  for (let i = 0; i < count; i++)
    openers.push(spawn('dd', ['if=/dev/null', `of=${root.target}/big`, 'conv=notrunc'], { stdio: 'ignore' }));
  const work = root.path('work', 'work');
  await waitFor('the copy to begin', () => copied(work) > 0);
  await untilOpening(root, openers);
  await lower.stop();
  if (copied(work) >= SIZE) throw new Error('the copy was whole before the lower stopped');
  return { root, lower, openers };
}

const codeOf = async (child: ChildProcess): Promise<unknown> =>
  child.exitCode ?? child.signalCode ?? ((await once(child, 'exit')) as unknown[]).find((each) => each !== null);

const missing = unavailable('lamina');

async function stoppable(t: Test): Promise<boolean> {
  const why = await missing;
  if (why === undefined || privilegedRequired) return true;
  t.plan(0, why);
  return false;
}

void t.test('others are served while a copy waits for its layer; all who need the copy get it', async (t) => {
  if (!(await stoppable(t))) return;
  const { root, lower, openers } = await stoppedInCopy(t, 2);
  const others = `cd ${root.target}/own && mkdir -p d/e && echo x > d/e/f && mv d g && rm -r g`;
  const done = await command(['sh', '-ec', others], { limitMs: 10_000 });
  t.equal(done.code, 0, done.stderr);
  t.equal(openers[0]?.exitCode, null, 'who needs the copy waits');
  lower.wake();
  t.same(await Promise.all(openers.map(codeOf)), [0, 0]);
  await mustCommand(['cmp', `${root.target}/big`, root.path('below/big')]);
  t.equal(statSync(`${root.upper}/big`).size, SIZE);
  t.same(readdirSync(root.path('work', 'work')), []);
  await root.umount();
  await lower.end();
});

void t.test('who is killed does not wait for the copy, and leaves nothing of it', async (t) => {
  if (!(await stoppable(t))) return;
  const { root, lower, openers } = await stoppedInCopy(t, 1);
  openers[0]?.kill('SIGTERM');
  await waitFor('the killed process to end', () => openers[0]?.signalCode === 'SIGTERM', 5000);
  lower.wake();
  await waitFor('the copy to be dropped', () => readdirSync(root.path('work', 'work')).length === 0);
  t.same(readdirSync(root.upper), ['own'], 'the file is where it was');
  await root.umount();
  await lower.end();
});

void t.test('a mount that is aborted in the middle of a copy takes its server along', async (t) => {
  if (!(await stoppable(t))) return;
  const { root, lower, openers } = await stoppedInCopy(t, 1);
  await command(['umount', '-f', root.target]); // which aborts the connection first
  t.equal(await codeOf(openers[0] as ChildProcess), 1);
  lower.wake();
  await command(['umount', '-l', root.target]);
  await waitFor('the server to end', () => root.servers().length === 0);
  await root.mount('--lower', lower.path);
  t.same(readdirSync(root.path('work', 'work')), []);
  await mustCommand(['sh', '-c', `echo ended >> ${root.target}/big`]);
  t.equal(statSync(`${root.upper}/big`).size, SIZE + 6);
  await root.umount();
  await lower.end();
});
