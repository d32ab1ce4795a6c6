// The system calls a container may make: the host's default profile (Debian: golang-github-containers-common, in the
// format that Docker and podman share) made into the OCI spec's form, or what `--security-opt seccomp=` says.

import { readFileSync } from 'node:fs';
import type { ContainerRecord } from '../store/index.js';
import { capabilities } from './capabilities.js';

const DEFAULT_PROFILES: readonly string[] = ['/etc/containers/seccomp.json', '/usr/share/containers/seccomp.json'];

const ARCHES: Readonly<Record<string, readonly [name: string, seccomp: string]>> = {
  x64: ['amd64', 'SCMP_ARCH_X86_64'],
  arm64: ['arm64', 'SCMP_ARCH_AARCH64'],
  s390x: ['s390x', 'SCMP_ARCH_S390X'],
  ppc64: ['ppc64le', 'SCMP_ARCH_PPC64LE'],
};

interface Filter {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
}

interface Rule {
  readonly names?: readonly string[];
  readonly name?: string;
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly object[] | null;
  readonly includes?: Filter;
  readonly excludes?: Filter;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[];
  readonly architectures?: readonly string[];
  readonly syscalls: readonly Rule[];
}

/** A profile that cannot be used. */
export class SeccompError extends Error {
  override readonly name = 'SeccompError';
}

function defaultProfile(): Profile | undefined {
  for (const path of DEFAULT_PROFILES) {
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as Profile;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new SeccompError(`${path}: ${(error as Error).message}`);
    }
  }
  return undefined;
}

function applies({ includes, excludes }: Rule, arch: string, caps: readonly string[]): boolean {
  const every = includes?.caps?.every((cap) => caps.includes(cap)) ?? true;
  const here = includes?.arches?.includes(arch) ?? true;
  const without = !(excludes?.caps?.some((cap) => caps.includes(cap)) ?? false);
  return every && here && without && !(excludes?.arches?.includes(arch) ?? false);
}

/** `linux.seccomp` of the spec; undefined for none. Errors: SeccompError. */
export function seccompProfile(record: ContainerRecord, privileged: boolean): object | undefined {
  const { hostConfig } = record;
  const option = (hostConfig.SecurityOpt ?? []).map((each) => /^seccomp[:=](.*)$/s.exec(each)?.[1]).find(Boolean);
  if (option === 'unconfined' || (privileged && option === undefined)) return undefined;
  let profile: Profile | undefined;
  try {
    profile = option === undefined || option === 'builtin' ? defaultProfile() : (JSON.parse(option) as Profile);
  } catch (error) {
    if (error instanceof SeccompError) throw error;
    throw new SeccompError(`Decoding seccomp profile failed: ${(error as Error).message}`);
  }
  if (!profile) return undefined;
  const [arch, seccomp] = ARCHES[process.arch] ?? [process.arch, ''];
  const caps = capabilities(hostConfig.CapAdd ?? [], hostConfig.CapDrop ?? [], privileged);
  const family = profile.archMap?.find((each) => each.architecture === seccomp);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: profile.architectures ?? (family ? [seccomp, ...(family.subArchitectures ?? [])] : undefined),
    syscalls: profile.syscalls
      .filter((rule) => applies(rule, arch, caps))
      .map(({ names, name, action, errnoRet, args }) => ({
        names: names ?? [name ?? ''],
        action,
        ...(errnoRet === undefined ? {} : { errnoRet }),
        ...(args && args.length > 0 ? { args } : {}),
      })),
  };
}
