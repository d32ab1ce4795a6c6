// What happens in the engine, as `docker events` tells it: published by the parts that do it, kept for a while for
// `--since`.

import { EventEmitter } from 'node:events';

export interface EngineEvent {
  readonly Type: 'container' | 'image' | 'volume' | 'network' | 'daemon';
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: 'local';
  /** Seconds and nanoseconds since the epoch. */
  readonly time: number;
  readonly timeNano: number;
}

/** As many as Docker keeps. */
const KEPT = 256;

export class Events {
  readonly #emitter = new EventEmitter().setMaxListeners(0);
  readonly #past: EngineEvent[] = [];

  publish(type: EngineEvent['Type'], action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    const now = Date.now();
    const event: EngineEvent = {
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: attributes },
      scope: 'local',
      time: Math.floor(now / 1000),
      timeNano: now * 1e6,
    };
    this.#past.push(event);
    if (this.#past.length > KEPT) this.#past.shift();
    this.#emitter.emit('event', event);
  }

  /** Events kept since `seconds` after the epoch. */
  since(seconds: number): readonly EngineEvent[] {
    return this.#past.filter((event) => event.timeNano / 1e9 >= seconds);
  }

  /** Calls `listener` for each event from now on, until the returned function is called. */
  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.#emitter.on('event', listener);
    return () => this.#emitter.off('event', listener);
  }
}
