// The supervisor reaps what comes to it from containers, and nothing that somebody waits for.

import { join } from 'node:path';
import { rmSync } from 'node:fs';
import t from 'tap';
import { command } from '../support/command.js';
import { scratchDir } from '../support/paths.js';
import { patient } from '../support/patience.js';

/** A mount command has ended and Node has not heard of it yet, when another child's end has the supervisor look around. */
const SCRIPT = `
const { readdirSync, readFileSync } = require('node:fs');
const { Supervisor } = require(process.argv[1] + '/container/supervisor.js');
const { runMount } = require(process.argv[1] + '/transport/mount-command.js');
new Supervisor(process.argv[2], console.error);
const children = () => readFileSync('/proc/self/task/' + process.pid + '/children', 'latin1').split(' ').filter(Boolean);
const state = (pid) => readFileSync('/proc/' + pid + '/stat', 'latin1').split(') ')[1][0];
const before = children();
const done = runMount('true', []);
const [pid] = children().filter((each) => !before.includes(each));
while (state(pid) !== 'Z');
process.emit('SIGCHLD');
done.then((complaint) => (console.log('ended', complaint), process.exit(0)));
setTimeout(() => (console.log('nobody hears of its end'), process.exit(1)), ${patient(5000)});
`;

void t.test('a mount command that ends while others are reaped is heard of', { timeout: 30_000 }, async (t) => {
  const scratch = scratchDir();
  t.teardown(() => rmSync(scratch, { recursive: true }));
  const src = join(__dirname, '..', '..', 'src');
  const { code, stdout, stderr } = await command([process.execPath, '-e', SCRIPT, src, join(scratch, 'socket')]);
  t.same([code, stdout], [0, 'ended undefined\n'], stderr);
});
