/** The public types: those of the contract, and the store's own. */
import type { ManagerOptions, SocketOptions } from "socket.io-client";
import type { ConnectAuth, Events, File, FileError, FileWarning, Namespace, Totals } from "./generated/contract.js";

export type { ConnectAuth, Events, File, FileError, FileWarning, Namespace, Totals };

export type EventName = keyof Events;
export type StatusEvent = Events["pipeline:status"];
export type FileEvent = Events[Exclude<EventName, "pipeline:status">];

/** Fields of a `pipeline:status` that are not part of the state. */
export type EnvelopeField = "timestamp" | "offset" | "recovered" | "gap";

/** A pipeline's state; the pipeline may add fields of its own. */
export type State = {
  readonly [Key in keyof StatusEvent as Key extends EnvelopeField ? never : Key]: StatusEvent[Key];
};

/** An event with its name, as a discriminated union. */
export type NamedEvent = { [Name in EventName]: readonly [name: Name, event: Events[Name]] }[EventName];

/**
 * - `connecting`: the first connection is being made
 * - `live`: every change is shown as it happens
 * - `catching-up`: reconnected; the missed events are being received
 * - `reconnecting`: the connection is lost and will be restored automatically
 * - `refused`: the server refused; no attempt is made before `reconnect()`
 * - `closed`: `close()` was called
 */
export type ConnectionStatus = "connecting" | "live" | "catching-up" | "reconnecting" | "refused" | "closed";

/**
 * Why there is no connection. Codes of the server: `token_missing`, `token_invalid`, `token_expired` and
 * `namespace_not_allowed`, or `refused` if it gives none. Codes of the store: `unreachable`, `connection_lost`,
 * `disconnected` (by the server), `token_unavailable` (the token callback failed), `inconsistent` (events were missing).
 */
export interface ConnectionError {
  readonly code: string;
  readonly message: string;
}

export interface Connection {
  readonly status: ConnectionStatus;
  /** When the status began, in milliseconds since 1970 by this machine's clock. */
  readonly since: number;
  readonly error: ConnectionError | null;
  /** The number of failed attempts since it was live. */
  readonly attempts: number;
}

/** Everything at one moment; immutable. Unchanged parts are the same objects as in the previous snapshot. */
export interface Snapshot {
  readonly connection: Connection;
  readonly pipelines: Readonly<Record<string, State>>;
  /** The offset from which the store resumes after a break; null if it must start afresh. */
  readonly offset: string | null;
  /** When the last event came, in milliseconds since 1970 by this machine's clock. */
  readonly lastEventAt: number | null;
  /** Whether no event was missed by the last break; null if there was none. */
  readonly recovered: boolean | null;
}

/** A token, or a function that returns one; it is called for each connection, so tokens may expire. */
export type TokenSource = string | (() => string | Promise<string>);

export interface PipelineStoreOptions {
  /** The URL of the Socket.IO server, such as `http://127.0.0.1:8004`; `""` is the page's own origin. */
  readonly url: string;
  /** Which pipelines: all of them (`/pipeline`, the default, or `/`), or those of one type. */
  readonly namespace?: Namespace;
  readonly token?: TokenSource;
  /** The path of the server (default `/socket.io/`). */
  readonly path?: string;
  /** When listeners are called: once a frame (the default), in a microtask, or at each event. */
  readonly notify?: "frame" | "microtask" | "immediate";
  /** Further options of socket.io-client; `auth` is set by the store. */
  readonly io?: Omit<Partial<ManagerOptions & SocketOptions>, "auth" | "path">;
}

/** The live state of a service's pipelines. The methods are bound and may be passed as callbacks. */
export interface PipelineStore {
  /** Return the current state; the same object until something changes. */
  readonly getSnapshot: () => Snapshot;
  /** Call the listener after changes, coalesced; return the function that unsubscribes. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Call the handler with each event of that name, after the snapshot includes it; return the function that ends that. */
  readonly on: <Name extends EventName>(name: Name, handler: (event: Events[Name]) => void) => () => void;
  /** Reconnect at once, with a new token if one is given, and resume. */
  readonly reconnect: (token?: TokenSource) => void;
  /** Close the connection permanently; idempotent. */
  readonly close: () => void;
}
