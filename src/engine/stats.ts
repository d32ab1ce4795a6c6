// What a container uses: `GET /containers/{id}/stats`, from runc's reading of its cgroups and the network devices of its
// namespace.

import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { isUp } from '../container/state.js';
import { runc } from '../container/runc.js';
import type { ContainerRecord } from '../store/index.js';
import { timeOf } from './container-view.js';
import type { Engine } from './engine.js';
import type { Call, Router } from './http.js';

/** The parts of `runc events --stats` that are passed on. */
interface RuncStats {
  readonly data: {
    readonly cpu: {
      readonly usage: {
        readonly total: number;
        readonly kernel: number;
        readonly user: number;
        readonly percpu?: readonly number[];
      };
      readonly throttling?: { readonly periods?: number; readonly throttledPeriods?: number; readonly throttledTime?: number };
    };
    readonly memory: {
      readonly usage: { readonly usage: number; readonly limit: number; readonly max?: number };
      readonly raw?: Readonly<Record<string, number>>;
    };
    readonly pids: { readonly current?: number; readonly limit?: number };
    readonly blkio: { readonly ioServiceBytesRecursive?: readonly object[] };
  };
}

interface CpuStats {
  readonly cpu_usage: object;
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
  readonly throttling_data: object;
}

const NANOSECONDS_PER_TICK = 10_000_000;
const INTERVAL_MS = 1000;
const NO_CPU: CpuStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

/** Time that all processors have run for, idle or not. */
function systemTime(): number {
  const [, ...ticks] = (readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '').split(/\s+/);
  return ticks.slice(0, 8).reduce((sum, each) => sum + Number(each), 0) * NANOSECONDS_PER_TICK;
}

function networksOf(pid: number): Record<string, object> {
  try {
    const lines = readFileSync(`/proc/${pid}/net/dev`, 'latin1').trim().split('\n').slice(2);
    const rows = lines.map((line) => line.trim().split(/[:\s]+/)).filter(([name]) => name !== 'lo');
    return Object.fromEntries(
      rows.map(([name = '', ...fields]) => {
        const [rxBytes, rxPackets, rxErrors, rxDropped, , , , , txBytes, txPackets, txErrors, txDropped] = fields.map(Number);
        return [
          name,
          {
            rx_bytes: rxBytes,
            rx_packets: rxPackets,
            rx_errors: rxErrors,
            rx_dropped: rxDropped,
            tx_bytes: txBytes,
            tx_packets: txPackets,
            tx_errors: txErrors,
            tx_dropped: txDropped,
          },
        ];
      }),
    );
  } catch {
    return {};
  }
}

function blkio({ ioServiceBytesRecursive: entries }: RuncStats['data']['blkio']): object {
  return { io_service_bytes_recursive: entries ?? null };
}

async function sample(engine: Engine, record: ContainerRecord): Promise<{ cpu: CpuStats; rest: object }> {
  const { data } = JSON.parse(await runc(engine.context.bundle(record.id), ['events', '--stats', record.id])) as RuncStats;
  const { usage, throttling } = data.cpu;
  const cpu = {
    cpu_usage: {
      total_usage: usage.total,
      usage_in_kernelmode: usage.kernel,
      usage_in_usermode: usage.user,
      percpu_usage: usage.percpu,
    },
    system_cpu_usage: systemTime(),
    online_cpus: cpus().length,
    throttling_data: {
      periods: throttling?.periods ?? 0,
      throttled_periods: throttling?.throttledPeriods ?? 0,
      throttled_time: throttling?.throttledTime ?? 0,
    },
  };
  const { memory } = data;
  const limit = Math.min(memory.usage.limit, totalmem());
  return {
    cpu,
    rest: {
      pids_stats: { current: data.pids.current ?? 0, limit: data.pids.limit ?? 0 },
      blkio_stats: blkio(data.blkio),
      num_procs: 0,
      storage_stats: {},
      memory_stats: { usage: memory.usage.usage, max_usage: memory.usage.max ?? 0, stats: memory.raw ?? {}, limit },
      networks: networksOf(record.state.pid),
    },
  };
}

function report(record: ContainerRecord, before: CpuStats, now: { cpu: CpuStats; rest: object }, preread: string): string {
  const document = {
    read: new Date().toISOString(),
    preread,
    name: `/${record.name}`,
    id: record.id,
    cpu_stats: now.cpu,
    precpu_stats: before,
    ...now.rest,
  };
  return `${JSON.stringify(document)}\n`;
}

/** A container that does not run has nothing to report. */
function idle(record: ContainerRecord): string {
  return report(
    record,
    NO_CPU,
    { cpu: NO_CPU, rest: { pids_stats: {}, blkio_stats: {}, memory_stats: {}, networks: {} } },
    timeOf(0),
  );
}

async function stats(engine: Engine, call: Call): Promise<void> {
  const { id } = engine.context.registry.find(call.param());
  const once = call.query.get('stream') !== null && !call.flag('stream');
  const out = call.stream('application/json');
  let before = NO_CPU;
  let preread = timeOf(0);
  for (let round = 0; !call.signal.aborted; round++) {
    const record = engine.context.registry.get(id);
    if (!record) break;
    const now = isUp(record) ? await sample(engine, record).catch(() => undefined) : undefined;
    // The first reading has nothing to be compared with.
    const isFirst = round === 0 && !call.flag('one-shot');
    if (!isFirst || !now) out.write(now ? report(record, before, now, preread) : idle(record));
    if (once && (!isFirst || !now)) break;
    before = now?.cpu ?? NO_CPU;
    preread = new Date().toISOString();
    await delay(INTERVAL_MS, undefined, { signal: call.signal }).catch(() => undefined);
  }
  out.end();
}

export function statsRoutes(engine: Engine, router: Router): void {
  router.on('GET', '/containers/{}/stats', (call) => stats(engine, call));
}
