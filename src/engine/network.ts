// The seam between containers and networks.

import { readFileSync } from 'node:fs';
import type { NetworkSeam } from '../container/network-seam.js';
import { EngineError } from '../container/errors.js';
import type { Registry } from '../container/registry.js';

export function networkSeam(_directory: string, _registry: Registry): NetworkSeam {
  return {
    setUp: (record) => {
      const { NetworkMode: mode } = record.hostConfig;
      if (mode !== 'host' && mode !== 'none' && mode !== 'bridge') throw new EngineError(404, `network ${mode ?? ''} not found`);
      return Promise.resolve({
        netns: mode === 'host' ? 'host' : 'none',
        endpoints: [],
        ports: {},
        hosts: '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n',
        resolvConf: readFileSync('/etc/resolv.conf', 'utf8'),
      });
    },
    path: () => '',
    tearDown: () => Promise.resolve(),
  };
}
