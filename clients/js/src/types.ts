/** The shapes that users of the package see: those of the contract, and what the store adds to them. */
import type { ManagerOptions, SocketOptions } from "socket.io-client";
import type { ConnectAuth, Events, File, FileError, Namespace, Totals } from "./generated/contract.js";

export type { ConnectAuth, Events, File, FileError, Namespace, Totals };

export type EventName = keyof Events;
export type StatusEvent = Events["pipeline:status"];
export type FileEvent = Events[Exclude<EventName, "pipeline:status">];

/** What a `pipeline:status` carries that is not of the state. */
export type BesideTheState = "timestamp" | "offset" | "recovered" | "gap";

/** A pipeline's state; its own fields stand beside those that are named here. */
export type State = {
  readonly [Key in keyof StatusEvent as Key extends BesideTheState ? never : Key]: StatusEvent[Key];
};

/** An event with its name, so that a check of the name tells the type of the event. */
export type NamedEvent = { [Name in EventName]: readonly [name: Name, event: Events[Name]] }[EventName];

/**
 * - `connecting`: for the first time
 * - `live`: every change is shown as it happens
 * - `catching-up`: connected again; what was missed is on its way
 * - `reconnecting`: the connection is gone, and comes back by itself
 * - `refused`: the server said no; nothing is tried until `reconnect()`
 * - `closed`: by `close()`, for good
 */
export type ConnectionStatus = "connecting" | "live" | "catching-up" | "reconnecting" | "refused" | "closed";

/**
 * Why there is no connection. The server's codes are `token_missing`, `token_invalid`, `token_expired` and
 * `namespace_not_allowed`, or `refused` where it gives none; ours are `unreachable`, `connection_lost`, `disconnected`
 * (the server ended it), `token_unavailable` (the token's callback failed) and `inconsistent` (events were missing).
 */
export interface ConnectionError {
  readonly code: string;
  readonly message: string;
}

export interface Connection {
  readonly status: ConnectionStatus;
  /** When the status began: milliseconds since 1970 by this machine's clock. */
  readonly since: number;
  readonly error: ConnectionError | null;
  /** How often connecting has failed since it was live. */
  readonly attempts: number;
}

/** Everything at one moment. Immutable: what has not changed is the same object as in the snapshot before. */
export interface Snapshot {
  readonly connection: Connection;
  readonly pipelines: Readonly<Record<string, State>>;
  /** Where the store goes on from after a break; null while it has to start afresh. */
  readonly offset: string | null;
  /** When the last event came: milliseconds since 1970 by this machine's clock. */
  readonly lastEventAt: number | null;
  /** Whether the last break left nothing out; null if there was none. */
  readonly recovered: boolean | null;
}

/** A token, or where to get one: asked anew for each connection, so that it may expire. */
export type TokenSource = string | (() => string | Promise<string>);

export interface PipelineStoreOptions {
  /** The Socket.IO server, such as `http://127.0.0.1:8004`; `""` is the page's own origin. */
  readonly url: string;
  /** Which pipelines: all of them (`/pipeline`, the default, or `/`), or those of one type. */
  readonly namespace?: Namespace;
  readonly token?: TokenSource;
  /** Where the server is mounted (default `/socket.io/`). */
  readonly path?: string;
  /** When listeners are told: once a frame (the default), after the current task's work, or at each event. */
  readonly notify?: "frame" | "microtask" | "immediate";
  /** What socket.io-client is to do otherwise; `auth` is the store's own. */
  readonly io?: Omit<Partial<ManagerOptions & SocketOptions>, "auth" | "path">;
}

/** The live state of a service's pipelines; the methods may be passed around on their own. */
export interface PipelineStore {
  /** Return the state as it is now; the same object until something changes. */
  readonly getSnapshot: () => Snapshot;
  /** Call the listener after changes, many at a time; return what ends that. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Call the handler with each event of that name, after the snapshot shows it; return what ends that. */
  readonly on: <Name extends EventName>(name: Name, handler: (event: Events[Name]) => void) => () => void;
  /** Connect at once, with another token if one is given; what was missed is caught up with. */
  readonly reconnect: (token?: TokenSource) => void;
  /** End the connection for good; idempotent. */
  readonly close: () => void;
}
