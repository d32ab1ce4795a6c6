// One request to a test's engine over its socket, and its answer whole.

import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** `body`: an object is sent as JSON, bytes and streams as they are. Rejects when the connection breaks. */
export function call(socket: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const isRaw = body === undefined || Buffer.isBuffer(body) || body instanceof Readable;
    const options = { socketPath: socket, method, path, agent: false, headers: isRaw ? {} : JSON_TYPE };
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('latin1'), headers: response.headers }),
      );
      response.on('error', reject);
      response.on('aborted', () => reject(new Error('the answer broke off')));
    });
    sent.on('error', reject);
    if (body instanceof Readable) body.pipe(sent);
    else sent.end(isRaw ? body : JSON.stringify(body));
  });
}

/** As `call`; throws unless the engine says that it is done. */
export async function mustCall(socket: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await call(socket, method, path, body);
  const failed = answer.status >= 400 || /"errorDetail"/.test(answer.body);
  if (failed) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
  return answer;
}
