// /containers/NAME/start, stop and the like: what is done to a container's processes, and waiting for them.

import { EngineError, badParameter } from '../container/errors.js';
import { isUp } from '../container/state.js';
import { processesOf } from '../container/top.js';
import type { ContainerRecord } from '../store/index.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';

/** Docker answers what is already so with 304. */
async function unlessSo(call: Call, action: Promise<unknown>): Promise<void> {
  try {
    await action;
    call.answer(204);
  } catch (error) {
    if (!(error instanceof EngineError) || error.status !== 304) throw error;
    call.answer(304);
  }
}

function sizeOf(call: Call): readonly [number, number] | undefined {
  const rows = call.integer('h');
  const columns = call.integer('w');
  return rows && columns ? [rows, columns] : undefined;
}

/** `condition` of wait: when the answer is due. */
async function wait(engine: Engine, call: Call): Promise<void> {
  const { registry } = engine.context;
  const record = registry.find(call.param());
  const condition = call.query.get('condition') ?? '';
  if (!['', 'not-running', 'next-exit', 'removed'].includes(condition)) {
    throw badParameter(`invalid condition: ${JSON.stringify(condition)}`);
  }
  const isOver = (condition === '' || condition === 'not-running') && !isUp(record);
  const waiting = isOver ? record : registry.wait(record.id, condition === 'removed' ? 'removed' : 'exit', call.signal);
  // The client may start the container once it sees that it is being waited for.
  const out = call.stream('application/json');
  const ended = await waiting;
  out.end(`${JSON.stringify({ StatusCode: ended.state.exitCode })}\n`);
}

/** Errors: 409 for one that does not run. */
function runningOne(engine: Engine, call: Call): ContainerRecord {
  const record = engine.context.registry.find(call.param());
  if (!isUp(record)) throw new EngineError(409, `container ${record.id} is not running`);
  return record;
}

async function resize(engine: Engine, call: Call): Promise<void> {
  const [rows, columns] = sizeOf(call) ?? [0, 0];
  const record = runningOne(engine, call);
  await (await engine.context.supervisor()).call('resize', { task: record.id, rows, columns });
  engine.context.publish('resize', record, { height: String(rows), width: String(columns) });
  call.answer(200);
}

async function top(engine: Engine, call: Call): Promise<void> {
  const { id } = runningOne(engine, call);
  call.answer(200, await processesOf(engine.context.bundle(id), id, call.query.get('ps_args') || '-ef'));
}

export function containerActionRoutes(engine: Engine, router: Router): void {
  const { lifecycle } = engine;
  const signal = (call: Call): string | undefined => call.query.get('signal') ?? undefined;
  /** What is answered with no more than that it is done. */
  const done = (name: string, act: (call: Call) => Promise<unknown>): void =>
    router.on('POST', `/containers/{}/${name}`, async (call) => {
      await act(call);
      call.answer(204);
    });
  router.on('POST', '/containers/{}/start', (call) => unlessSo(call, lifecycle.start(call.param(), sizeOf(call))));
  router.on('POST', '/containers/{}/stop', (call) =>
    unlessSo(call, lifecycle.stop(call.param(), call.integer('t'), signal(call))),
  );
  done('restart', (call) => lifecycle.restart(call.param(), call.integer('t'), signal(call)));
  done('kill', (call) => lifecycle.kill(call.param(), signal(call) ?? ''));
  done('pause', (call) => lifecycle.pause(call.param()));
  done('unpause', (call) => lifecycle.unpause(call.param()));
  router.on('POST', '/containers/{}/wait', (call) => wait(engine, call));
  router.on('POST', '/containers/{}/resize', (call) => resize(engine, call));
  router.on('GET', '/containers/{}/top', (call) => top(engine, call));
}
