/** The store: one connection, the pictures it keeps, and who is told of changes. */
import { Link } from "./link.js";
import { createNotifier, type Notifier } from "./notify.js";
import { Pictures } from "./pictures.js";
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
/** A round of statuses comes in one go; after so long there is no more to come. */
const ROUND_MS = 1000;
/** A status follows file events within 100 ms; if none has come after so long, the picture is asked for anew. */
const HEAL_MS = 1000;

/** Connect to the service, and keep the state of its pipelines until `close()`. */
export function createPipelineStore(options: PipelineStoreOptions): PipelineStore {
  return new Store(options);
}

/** What there is before a connection. */
export function nothingYet(since: number): Snapshot {
  const connection: Connection = { status: "connecting", since, error: null, attempts: 0 };
  return { connection, pipelines: {}, offset: null, lastEventAt: null, recovered: null };
}

type Timer = ReturnType<typeof setTimeout> | undefined;
type Handler = (event: never) => void;

class Store implements PipelineStore {
  readonly #pictures: Pictures;
  readonly #link: Link;
  readonly #notifier: Notifier;
  readonly #listeners = new Set<() => void>();
  readonly #handlers = new Map<EventName, Set<Handler>>();
  #snapshot = nothingYet(Date.now());
  #stale = false;
  #connection = this.#snapshot.connection;
  #lastEventAt: number | null = null;
  #roundTimer: Timer;
  #healTimer: Timer;

  constructor(options: PipelineStoreOptions) {
    this.#pictures = new Pictures(options.namespace ?? "/pipeline");
    this.#notifier = createNotifier(options.notify ?? "frame", () => this.#tell());
    this.#link = new Link(options, Object.keys(EVENT_NAMES) as EventName[], {
      offset: () => this.#pictures.offset,
      connected: () => this.#begin(),
      event: (named) => this.#take(named),
      lost: (error) => this.#lose(error),
      refused: (error) => this.#end("refused", error),
    });
  }

  readonly getSnapshot = (): Snapshot => {
    if (this.#stale) {
      // Made when it is asked for: a flood of events between two looks costs nothing here.
      this.#stale = false;
      const { pipelines, offset, recovered } = this.#pictures;
      this.#snapshot = { connection: this.#connection, pipelines, offset, lastEventAt: this.#lastEventAt, recovered };
    }
    return this.#snapshot;
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    // One more function, so that a listener that is given twice is told, and ends, twice.
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
    this.#pictures.interrupt();
    this.#enter(this.#lastEventAt === null ? "connecting" : "reconnecting", null, 0);
    this.#link.reconnect(token);
  };

  readonly close = (): void => {
    if (this.#connection.status === "closed") return;
    this.#link.close();
    this.#end("closed", null);
    this.#notifier.flush();
    this.#listeners.clear();
    this.#handlers.clear();
  };

  // -- what the link tells ---------------------------------------------------------------------------------------

  #begin(): void {
    this.#pictures.begin();
    if (this.#pictures.offset !== null) this.#enter("catching-up", null, this.#connection.attempts);
  }

  #take(named: NamedEvent): void {
    const verdict = this.#pictures.take(named);
    this.#lastEventAt = Date.now();
    this.#settle();
    this.#change();
    if (verdict !== "known") this.#hand(named);
  }

  #lose(error: ConnectionError): void {
    this.#stopTimers();
    this.#pictures.interrupt();
    const status = this.#lastEventAt === null ? "connecting" : "reconnecting";
    this.#enter(status, error, this.#connection.attempts + 1);
  }

  #end(status: ConnectionStatus, error: ConnectionError | null): void {
    this.#stopTimers();
    this.#pictures.interrupt();
    this.#enter(status, error, this.#connection.attempts);
  }

  // -- what follows from it --------------------------------------------------------------------------------------

  /** Look whether all is there, and see to what is not. */
  #settle(): void {
    const pictures = this.#pictures;
    if (pictures.live && this.#connection.status !== "live") this.#enter("live", null, 0);
    this.#roundTimer = during(pictures.inRound, this.#roundTimer, ROUND_MS, () => this.#endRound());
    this.#healTimer = during(pictures.live && pictures.withholding, this.#healTimer, HEAL_MS, () => this.#heal());
  }

  #endRound(): void {
    this.#roundTimer = undefined;
    this.#pictures.endRound();
    this.#settle();
    this.#change();
  }

  #heal(): void {
    this.#pictures.forget();
    this.#link.comeBack({ code: "inconsistent", message: "events are missing: the state is asked for anew" });
  }

  #enter(status: ConnectionStatus, error: ConnectionError | null, attempts: number): void {
    const since = status === this.#connection.status ? this.#connection.since : Date.now();
    this.#connection = { status, since, error, attempts };
    this.#change();
  }

  #change(): void {
    this.#stale = true;
    this.#notifier.request();
  }

  #stopTimers(): void {
    clearTimeout(this.#roundTimer);
    clearTimeout(this.#healTimer);
    this.#roundTimer = this.#healTimer = undefined;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) guarded(listener);
  }

  #hand([name, event]: NamedEvent): void {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) guarded(() => handler(event as never));
  }
}

/** Return the timer that runs once the condition has held for so long; it is looked at after each event. */
function during(condition: boolean, timer: Timer, ms: number, run: () => void): Timer {
  if (condition) return timer ?? setTimeout(run, ms);
  clearTimeout(timer);
  return undefined;
}

/** Run what others have given us: one that fails must not stop the rest. */
function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (typeof reportError === "function") reportError(error);
    else console.error(error);
  }
}
