/**
 * The connection to the service. Each connect sends the token and the offset to resume from. socket.io-client reconnects
 * when the transport breaks; this class also reconnects after a disconnect by the server, and handles refusals.
 */
import { io, type Socket } from "socket.io-client";
import type { RefusalDetails } from "./generated/contract.js";
import type {
  ConnectAuth,
  ConnectionError,
  EventName,
  NamedEvent,
  PipelineStoreOptions,
  TokenSource,
} from "./types.js";

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;
/** A temporary refusal: the service can't check the token at the moment. */
const TRANSIENT: RefusalDetails["code"] = "keys_unavailable";
/** A connection that lasted this long resets the backoff. */
const STABLE_MS = 30_000;

export interface ConnectionHandlers {
  /** Return the offset to resume from; null to start with a snapshot. */
  offset(): string | null;
  connected(): void;
  event(named: NamedEvent): void;
  /** The connection failed or ended; another attempt follows. */
  lost(error: ConnectionError): void;
  /** The server refused; no further attempt. */
  refused(error: ConnectionError): void;
}

export class ServiceConnection {
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #firstRetryMs: number;
  #token: TokenSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #connectedAt: number | null = null;

  constructor(options: PipelineStoreOptions, names: readonly EventName[], handlers: ConnectionHandlers) {
    this.#handlers = handlers;
    this.#token = options.token;
    this.#firstRetryMs = options.io?.reconnectionDelay ?? FIRST_RETRY_MS;
    this.#socket = io(options.url.replace(/\/+$/, "") + (options.namespace ?? "/pipeline"), {
      // WebSocket first, so no upgrade happens while events come; polling if WebSockets are blocked.
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      forceNew: true,
      ...options.io,
      path: options.path ?? "/socket.io/",
      auth: this.#authenticate,
    });
    this.#listen(names);
  }

  /** Reconnect at once, with a new token if one is given. */
  reconnect(token?: TokenSource): void {
    if (token !== undefined) this.#token = token;
    this.#failures = 0;
    this.#disconnect();
    this.#socket.connect();
  }

  /** Disconnect, and reconnect after the next delay of the backoff. */
  reconnectLater(error: ConnectionError): void {
    this.#disconnect();
    if (this.#connectedAt !== null && Date.now() - this.#connectedAt > STABLE_MS) this.#failures = 0;
    this.#connectedAt = null;
    const delay = retryDelay(this.#firstRetryMs, this.#failures, Math.random());
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#socket.connect(), delay);
    this.#handlers.lost(error);
  }

  close(): void {
    this.#disconnect();
    this.#socket.offAny();
    this.#socket.off();
  }

  #disconnect(): void {
    clearTimeout(this.#retry);
    this.#socket.disconnect();
  }

  #listen(names: readonly EventName[]): void {
    const socket = this.#socket;
    for (const name of names) {
      socket.on(name, (event: unknown) => this.#handlers.event([name, event] as NamedEvent));
    }
    socket.on("connect", () => {
      this.#connectedAt = Date.now();
      this.#handlers.connected();
    });
    socket.on("disconnect", (reason) => {
      if (reason === "io server disconnect") {
        // Most likely the token has expired. A callback gives a new one; otherwise the next connect is refused.
        this.reconnectLater({ code: "disconnected", message: "the server has ended the connection" });
      } else if (reason !== "io client disconnect") {
        this.#handlers.lost({ code: "connection_lost", message: reason });
      }
    });
    socket.on("connect_error", (error: Error & { data?: unknown }) => {
      if (socket.active) return this.#handlers.lost({ code: "unreachable", message: error.message });
      const refusal = refusalOf(error);
      if (refusal.code === TRANSIENT) this.reconnectLater(refusal);
      else this.#handlers.refused(refusal);
    });
    socket.io.on("reconnect_failed", () => {
      this.#handlers.refused({ code: "unreachable", message: "the server can't be reached" });
    });
  }

  readonly #authenticate = (send: (auth: ConnectAuth) => void): void => {
    const engine = this.#socket.io.engine;
    const answer = (token: string | undefined): void => {
      // The token callback may be slow: check that this is still the same connection.
      if (this.#socket.io.engine !== engine || engine.readyState !== "open" || !this.#socket.active) return;
      const auth: { -readonly [Key in keyof ConnectAuth]: ConnectAuth[Key] } = {};
      const offset = this.#handlers.offset();
      if (token !== undefined) auth.token = token;
      if (offset !== null) auth.offset = offset;
      send(auth);
    };
    const source = this.#token;
    if (typeof source !== "function") return answer(source);
    Promise.resolve()
      .then(source)
      .then(answer, (error: unknown) => {
        if (this.#socket.io.engine === engine && this.#socket.active) {
          this.reconnectLater({ code: "token_unavailable", message: messageOf(error) });
        }
      });
  };
}

/** Return the delay in milliseconds after this many failures; `random`, from 0 to 1, is the jitter. */
export function retryDelay(firstMs: number, failures: number, random: number): number {
  return Math.min(firstMs * 2 ** failures, LAST_RETRY_MS) * (0.5 + random / 2);
}

function refusalOf(error: Error & { data?: unknown }): ConnectionError {
  // Some refusals, such as that of an unknown namespace, have a message but no code.
  const details = error.data as Partial<RefusalDetails> | null | undefined;
  return { code: details?.code ?? "refused", message: error.message };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
