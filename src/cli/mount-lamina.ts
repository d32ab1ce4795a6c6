// mount.lamina: the argument contract of fuse-overlayfs, so that mount(8), podman, buildah and containerd can call it.
//   mount.lamina [source] target -o lowerdir=A:B,upperdir=U,workdir=W[,...] [-f]

import { resolve } from 'node:path';
import { errnoText } from '../abi/errno.js';
import type { MountRequest } from '../transport/check.js';
import { parseOverlayOptions, splitArguments } from '../transport/overlay-options.js';
import { remountFuse } from '../transport/fuse-device.js';
import { outliveReader } from './closed-output.js';
import { programVersion } from './program-version.js';
import { fail, reportReady } from './ready.js';
import { serve } from './serve.js';

const USAGE = `usage: mount.lamina [SOURCE] TARGET -o lowerdir=DIR[:DIR...][,upperdir=DIR,workdir=DIR][,OPTION...]

    -o OPTIONS      lowerdir, upperdir, workdir; timeout=SECONDS, volatile, fsync=0, noacl, nopassthrough, ro,
                    remount; nosuid, nodev, noexec, noatime, nodiratime, strictatime, sync, dirsync
    -f              stay in the foreground
    -h, --help      print this help
    -V, --version   print the version
`;

export function main(argv: readonly string[]): void {
  outliveReader();
  const args = splitArguments(argv);
  if (args.help) {
    process.stdout.write(USAGE);
    return reportReady(0);
  }
  if (args.version) {
    process.stdout.write(`mount.lamina: version ${programVersion()}\n`);
    return reportReady(0);
  }
  const target = args.positional[args.positional.length - 1];
  if (target === undefined) fail('no mountpoint specified', 1);
  const parsed = parseOverlayOptions(args.options);
  if (typeof parsed === 'string') fail(parsed, 1);
  for (const unknown of parsed.unknown) process.stderr.write(`unknown argument ignored: ${unknown}\n`);
  const { remount, ...request } = parsed.request;
  if (remount === true) changeFlags(target, request);
  const source = args.positional.length > 1 ? args.positional[0] : undefined;
  void serve({ ...request, target, ...(source ? { source } : {}) }, { foreground: args.foreground });
}

/** `mount -o remount`: other flags for a mount that is there. */
function changeFlags(target: string, { flags = [], readOnly = false }: Pick<MountRequest, 'flags' | 'readOnly'>): never {
  const error = remountFuse(resolve(target), flags, readOnly);
  if (error) fail(`${target}: cannot be mounted again with these options: ${errnoText(error)}`, 32);
  reportReady(0);
  process.exit(0);
}
