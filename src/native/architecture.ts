// The host's architecture as images and Docker call it (GOARCH). Used by image/, build/, engine/ and cli/.

const NAMES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

export const hostArchitecture = NAMES[process.arch] ?? process.arch;
