/** The store: a connection, the tracked states, and the listeners. */
import { ServiceConnection } from "./connection.js";
import { createNotifier, type Notifier } from "./notify.js";
import { StateTracker } from "./state-tracker.js";
import type {
  Connection,
  ConnectionError,
  ConnectionStatus,
  EventName,
  Events,
  NamedEvent,
  PipelineStore,
  PipelineStoreOptions,
  Snapshot,
  TokenSource,
} from "./types.js";

const EVENT_NAMES: { readonly [Name in EventName]: true } = {
  "pipeline:status": true,
  "pipeline:file_processing_started": true,
  "pipeline:file_progress": true,
  "pipeline:file_completed": true,
  "pipeline:file_failed": true,
  "pipeline:file_skipped": true,
  "pipeline:file_deleted": true,
};
/** A round of statuses arrives at once; after this time it is complete. */
const ROUND_MS = 1000;
/** A status follows file events within 100 ms; without one after this time, everything is requested again. */
const HEAL_MS = 1000;

/** Connect to the service, and track the states of its pipelines until `close()`. */
export function createPipelineStore(options: PipelineStoreOptions): PipelineStore {
  return new Store(options);
}

/** Return the snapshot before the first connection. */
export function initialSnapshot(since: number): Snapshot {
  const connection: Connection = { status: "connecting", since, error: null, attempts: 0 };
  return { connection, pipelines: {}, offset: null, lastEventAt: null, recovered: null };
}

type Timer = ReturnType<typeof setTimeout> | undefined;
type Handler = (event: never) => void;

class Store implements PipelineStore {
  readonly #tracker: StateTracker;
  readonly #service: ServiceConnection;
  readonly #notifier: Notifier;
  readonly #listeners = new Set<() => void>();
  readonly #handlers = new Map<EventName, Set<Handler>>();
  #snapshot = initialSnapshot(Date.now());
  #stale = false;
  #connection = this.#snapshot.connection;
  #lastEventAt: number | null = null;
  #roundTimer: Timer;
  #healTimer: Timer;

  constructor(options: PipelineStoreOptions) {
    this.#tracker = new StateTracker(options.namespace ?? "/pipeline");
    this.#notifier = createNotifier(options.notify ?? "frame", () => this.#notifyListeners());
    this.#service = new ServiceConnection(options, Object.keys(EVENT_NAMES) as EventName[], {
      offset: () => this.#tracker.offset,
      connected: () => this.#begin(),
      event: (named) => this.#take(named),
      lost: (error) => this.#handleLoss(error),
      refused: (error) => this.#end("refused", error),
    });
  }

  readonly getSnapshot = (): Snapshot => {
    if (this.#stale) {
      // Built on demand: a flood of events between two calls costs nothing here.
      this.#stale = false;
      const { pipelines, offset, recovered } = this.#tracker;
      this.#snapshot = { connection: this.#connection, pipelines, offset, lastEventAt: this.#lastEventAt, recovered };
    }
    return this.#snapshot;
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    // A new function, so that a listener can be subscribed, and unsubscribed, twice.
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  };

  readonly on = <Name extends EventName>(name: Name, handler: (event: Events[Name]) => void): (() => void) => {
    const own: Handler = (event) => handler(event);
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(own));
    return () => handlers.delete(own);
  };

  readonly reconnect = (token?: TokenSource): void => {
    if (this.#connection.status === "closed") return;
    this.#stopTimers();
    this.#tracker.interrupt();
    this.#setConnection(this.#lastEventAt === null ? "connecting" : "reconnecting", null, 0);
    this.#service.reconnect(token);
  };

  readonly close = (): void => {
    if (this.#connection.status === "closed") return;
    this.#service.close();
    this.#end("closed", null);
    this.#notifier.flush();
    this.#listeners.clear();
    this.#handlers.clear();
  };

  // -- events of the connection ----------------------------------------------------------------------------------

  #begin(): void {
    this.#tracker.begin();
    if (this.#tracker.offset !== null) this.#setConnection("catching-up", null, this.#connection.attempts);
  }

  #take(named: NamedEvent): void {
    const result = this.#tracker.take(named);
    this.#lastEventAt = Date.now();
    this.#updateStatus();
    this.#markChanged();
    if (result !== "known") this.#callHandlers(named);
  }

  #handleLoss(error: ConnectionError): void {
    this.#stopTimers();
    this.#tracker.interrupt();
    const status = this.#lastEventAt === null ? "connecting" : "reconnecting";
    this.#setConnection(status, error, this.#connection.attempts + 1);
  }

  #end(status: ConnectionStatus, error: ConnectionError | null): void {
    this.#stopTimers();
    this.#tracker.interrupt();
    this.#setConnection(status, error, this.#connection.attempts);
  }

  // -- state -----------------------------------------------------------------------------------------------------

  /** Become live if everything is there, and start or stop the timers. */
  #updateStatus(): void {
    const tracker = this.#tracker;
    if (tracker.live && this.#connection.status !== "live") this.#setConnection("live", null, 0);
    this.#roundTimer = timerWhile(tracker.inRound, this.#roundTimer, ROUND_MS, () => this.#endRound());
    this.#healTimer = timerWhile(tracker.live && tracker.withholding, this.#healTimer, HEAL_MS, () => this.#heal());
  }

  #endRound(): void {
    this.#roundTimer = undefined;
    this.#tracker.endRound();
    this.#updateStatus();
    this.#markChanged();
  }

  #heal(): void {
    this.#tracker.forget();
    this.#service.reconnectLater({ code: "inconsistent", message: "events are missing: the state is requested again" });
  }

  #setConnection(status: ConnectionStatus, error: ConnectionError | null, attempts: number): void {
    const since = status === this.#connection.status ? this.#connection.since : Date.now();
    this.#connection = { status, since, error, attempts };
    this.#markChanged();
  }

  #markChanged(): void {
    this.#stale = true;
    this.#notifier.request();
  }

  #stopTimers(): void {
    clearTimeout(this.#roundTimer);
    clearTimeout(this.#healTimer);
    this.#roundTimer = this.#healTimer = undefined;
  }

  #notifyListeners(): void {
    for (const listener of [...this.#listeners]) runSafely(listener);
  }

  #callHandlers([name, event]: NamedEvent): void {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) runSafely(() => handler(event as never));
  }
}

/** Keep a timer running while the condition holds, and return it; called after each event. */
function timerWhile(condition: boolean, timer: Timer, ms: number, run: () => void): Timer {
  if (condition) return timer ?? setTimeout(run, ms);
  clearTimeout(timer);
  return undefined;
}

/** Run a callback of the user; if it throws, report the error and continue. */
function runSafely(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (typeof reportError === "function") reportError(error);
    else console.error(error);
  }
}
