// Stand-ins for the images that Docker's user guide names, made from programs of this machine: training/webapp with a web
// server in Python, training/postgres with something that keeps rows, ubuntu with GNU tar and bash. Used by engine tests.

import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mustCommand } from './command.js';
import type { EngineRig } from './engine-rig.js';

/** The web application; the number that Python's server listens on is the guide's. */
export const APP = `import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(open('page').read().encode())
http.server.HTTPServer(('0.0.0.0', 5000), Page).serve_forever()
`;
const LOADED = `import http.server, encodings.idna, encodings.latin_1, sys
print(*{getattr(m, '__file__', None) or '' for m in sys.modules.values()}, sep='\\n')`;

/** Copies files, with the libraries they are linked with, to the same places below `root`. */
async function take(root: string, files: readonly string[]): Promise<void> {
  const linked = (await mustCommand(['sh', '-c', 'ldd "$@" 2>/dev/null | grep -o "/[^ :]*" | sort -u', 'ldd', ...files])).split(
    '\n',
  );
  for (const file of [...files, ...linked.filter((line) => line.startsWith('/'))]) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    cpSync(file, join(root, file), { dereference: true });
  }
}

async function build(rig: EngineRig, name: string, context: string, instructions: string): Promise<void> {
  writeFileSync(join(context, 'Dockerfile'), `FROM busybox\nCOPY root /\nENV PATH=/usr/bin:/bin\n${instructions}\n`);
  await rig.must('lamina', 'build', '-q', '-t', name, context);
}

/** After `loadImages`, whose busybox they begin from. */
export async function buildStandIns(rig: EngineRig): Promise<void> {
  const root = (name: string): string => {
    const path = rig.path('images', name, 'root');
    mkdirSync(join(path, 'usr', 'bin'), { recursive: true });
    return path;
  };
  const ubuntu = root('ubuntu');
  await take(ubuntu, ['/usr/bin/tar', '/usr/bin/bash']);
  await build(rig, 'ubuntu', dirname(ubuntu), 'CMD ["bash"]');

  const webapp = root('webapp');
  const python = await mustCommand(['readlink', '-f', '/usr/bin/python3']);
  const modules = (await mustCommand(['/usr/bin/python3', '-S', '-c', LOADED])).split('\n').filter((file) => file !== '');
  await take(webapp, [python.trim(), ...modules]);
  cpSync(join(webapp, python.trim()), join(webapp, 'usr', 'bin', 'python'));
  mkdirSync(join(webapp, 'opt', 'webapp'), { recursive: true });
  writeFileSync(join(webapp, 'opt', 'webapp', 'app.py'), APP);
  writeFileSync(join(webapp, 'opt', 'webapp', 'page'), 'Hello world!');
  await build(rig, 'training/webapp', dirname(webapp), 'WORKDIR /opt/webapp\nEXPOSE 5000\nCMD ["python", "app.py"]');

  const postgres = root('postgres');
  await build(
    rig,
    'training/postgres',
    dirname(postgres),
    'CMD ["sh", "-c", "echo $HOSTNAME >> /dbdata/table; exec sleep 1000"]',
  );
}
