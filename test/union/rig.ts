// A union over directories that a test describes: upper, work and lowers in a scratch directory of their own.

import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { sys } from '../../src/native/load.js';
import { MNT_DETACH } from '../../src/native/syscalls.js';
import type { MountPlan } from '../../src/transport/plan.js';
import { removeTree } from '../../src/union/work.js';
import { scratchDir } from '../support/paths.js';
import { Client } from './client.js';
import { type Spec, build, must, namesIn, openDir } from './disk.js';

interface Test {
  teardown(fn: () => void): unknown;
}

export interface RigOptions {
  readOnly?: boolean;
  scheme?: 'trusted' | 'user';
  /** upper and work are on a tmpfs with these mount options. */
  tmpfs?: string;
  fdLimit?: number;
}

export class Rig {
  readonly dir = scratchDir();
  readonly upper = join(this.dir, 'top', 'upper');
  readonly work = join(this.dir, 'top', 'work');
  readonly lowers: readonly string[];
  #clients: Client[] = [];

  /** `lowers`: topmost first. */
  constructor(
    t: Test,
    lowers: readonly Spec[],
    private readonly options: RigOptions = {},
  ) {
    const top = join(this.dir, 'top');
    mkdirSync(top);
    t.teardown(() => {
      try {
        for (const client of this.#clients) client.close();
      } finally {
        if (options.tmpfs !== undefined) sys.umount2(top, MNT_DETACH);
        const above = openDir(dirname(this.dir));
        removeTree(above, basename(this.dir)); // by fds: a test may make paths that are too long for a name
        sys.close(above);
      }
    });
    if (options.tmpfs !== undefined) must(sys.mount('tmpfs', top, 'tmpfs', 0, options.tmpfs), 'tmpfs');
    mkdirSync(this.upper);
    mkdirSync(this.work);
    this.lowers = lowers.map((_, i) => join(this.dir, `lower${i}`));
    this.lowers.forEach((path, i) => {
      mkdirSync(path);
      build(path, lowers[i] ?? {});
    });
  }

  /** Serves the layers as they are now; call again for a fresh look at what is on disk. */
  open(): Client {
    const writable = this.options.readOnly !== true;
    const plan: MountPlan = {
      source: 'test',
      flags: [],
      target: '/',
      lowers: [...this.lowers],
      upper: writable ? this.upper : undefined,
      work: writable ? this.work : undefined,
      routes: [],
      mountRoutes: false,
      readOnly: !writable,
      scheme: this.options.scheme ?? 'trusted',
      volatile: true,
      passthrough: false,
      timeout: 1,
      posixAcl: true,
      ids: { uidMap: [], gidMap: [] },
    };
    const client = new Client(plan, this.options.fdLimit);
    this.#clients.push(client);
    return client;
  }

  /** What copy-up left behind. */
  leftInWork(): string[] {
    return namesIn(join(this.work, 'work')) ?? ['no work directory'];
  }
}
