// mount.lamina: the argument contract of fuse-overlayfs, so that mount(8), podman, buildah and containerd can call it.
//   mount.lamina [source] target -o lowerdir=A:B,upperdir=U,workdir=W[,...] [-f]

import { parseOverlayOptions, splitArguments } from '../transport/overlay-options.js';
import { fail } from './ready.js';
import { serve } from './serve.js';

const USAGE = `usage: mount.lamina [SOURCE] TARGET -o lowerdir=DIR[:DIR...][,upperdir=DIR,workdir=DIR][,OPTION...]

    -o OPTIONS      lowerdir, upperdir, workdir; timeout=SECONDS, volatile, fsync=0, noacl, ro
    -f              stay in the foreground
    -h, --help      print this help
    -V, --version   print the version
`;

export function main(argv: readonly string[]): void {
  const args = splitArguments(argv);
  if (args.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (args.version) {
    const { version } = require('../../../package.json') as { version: string };
    process.stdout.write(`mount.lamina: version ${version}\n`);
    return;
  }
  const target = args.positional[args.positional.length - 1];
  if (target === undefined) fail('no mountpoint specified', 1);
  const parsed = parseOverlayOptions(args.options);
  if (typeof parsed === 'string') fail(parsed, 1);
  for (const unknown of parsed.unknown) process.stderr.write(`unknown argument ignored: ${unknown}\n`);
  void serve({ ...parsed.request, target }, { foreground: args.foreground });
}
