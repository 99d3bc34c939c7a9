/**
 * The connection to the service: who we are and where we go on from is told at each connect, by whatever way it came
 * to that. socket.io-client connects again by itself when the transport breaks; what it leaves to us is done here.
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
/** The refusal that is none: the service can't check the token at the moment. */
const LATER: RefusalDetails["code"] = "keys_unavailable";
/** A connection that held so long was a good one: the next failure is the first again. */
const SETTLED_MS = 30_000;

export interface Hooks {
  /** Return the offset to go on from; null to start afresh. */
  offset(): string | null;
  connected(): void;
  event(named: NamedEvent): void;
  /** There is no connection; it is tried again. */
  lost(error: ConnectionError): void;
  /** The server said no; nothing is tried again. */
  refused(error: ConnectionError): void;
}

export class Link {
  readonly #socket: Socket;
  readonly #hooks: Hooks;
  readonly #firstRetryMs: number;
  #token: TokenSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #connectedAt: number | null = null;

  constructor(options: PipelineStoreOptions, names: readonly EventName[], hooks: Hooks) {
    this.#hooks = hooks;
    this.#token = options.token;
    this.#firstRetryMs = options.io?.reconnectionDelay ?? FIRST_RETRY_MS;
    this.#socket = io(options.url.replace(/\/+$/, "") + (options.namespace ?? "/pipeline"), {
      // A WebSocket from the start, and no upgrade while events come; polling where there is no way for one.
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      forceNew: true,
      ...options.io,
      path: options.path ?? "/socket.io/",
      auth: this.#authenticate,
    });
    this.#listen(names);
  }

  /** Connect anew at once, with another token if one is given. */
  reconnect(token?: TokenSource): void {
    if (token !== undefined) this.#token = token;
    this.#failures = 0;
    this.#disconnect();
    this.#socket.connect();
  }

  /** End the connection and come back after a while, longer each time. */
  comeBack(error: ConnectionError): void {
    this.#disconnect();
    if (this.#connectedAt !== null && Date.now() - this.#connectedAt > SETTLED_MS) this.#failures = 0;
    this.#connectedAt = null;
    const delay = retryDelay(this.#firstRetryMs, this.#failures, Math.random());
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#socket.connect(), delay);
    this.#hooks.lost(error);
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
      socket.on(name, (event: unknown) => this.#hooks.event([name, event] as NamedEvent));
    }
    socket.on("connect", () => {
      this.#connectedAt = Date.now();
      this.#hooks.connected();
    });
    socket.on("disconnect", (reason) => {
      if (reason === "io server disconnect") {
        // Most likely the token has expired. A callback is asked for another one; if that won't do, we are refused.
        this.comeBack({ code: "disconnected", message: "the server has ended the connection" });
      } else if (reason !== "io client disconnect") {
        this.#hooks.lost({ code: "connection_lost", message: reason });
      }
    });
    socket.on("connect_error", (error: Error & { data?: unknown }) => {
      if (socket.active) return this.#hooks.lost({ code: "unreachable", message: error.message });
      const why = refusal(error);
      if (why.code === LATER) this.comeBack(why);
      else this.#hooks.refused(why);
    });
    socket.io.on("reconnect_failed", () => {
      this.#hooks.refused({ code: "unreachable", message: "the server can't be reached" });
    });
  }

  readonly #authenticate = (send: (auth: ConnectAuth) => void): void => {
    const engine = this.#socket.io.engine;
    const answer = (token: string | undefined): void => {
      // The token may have taken its time: this must still be the connection that it was asked for.
      if (this.#socket.io.engine !== engine || engine.readyState !== "open" || !this.#socket.active) return;
      const auth: { -readonly [Key in keyof ConnectAuth]: ConnectAuth[Key] } = {};
      const offset = this.#hooks.offset();
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
          this.comeBack({ code: "token_unavailable", message: messageOf(error) });
        }
      });
  };
}

/** Return how many milliseconds to wait after so many failures; `random`, from 0 to 1, keeps clients apart. */
export function retryDelay(firstMs: number, failures: number, random: number): number {
  return Math.min(firstMs * 2 ** failures, LAST_RETRY_MS) * (0.5 + random / 2);
}

function refusal(error: Error & { data?: unknown }): ConnectionError {
  // Of a refusal for a reason that has no code, such as an unknown namespace, there is the message alone.
  const details = error.data as Partial<RefusalDetails> | null | undefined;
  return { code: details?.code ?? "refused", message: error.message };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
