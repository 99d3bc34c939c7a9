// Built from clients/js/src/connection.ts by scripts/vendor; edits are lost.
/**
 * The connection to the service. Each connect sends the token and the offset to resume from. socket.io-client reconnects
 * when the transport breaks; this class also reconnects after a disconnect by the server, and handles refusals.
 */
import { io } from "./socket.io.esm.min.js";
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;
/** A temporary refusal: the service can't check the token at the moment. */
const TRANSIENT = "keys_unavailable";
/** A connection that lasted this long resets the backoff. */
const STABLE_MS = 30_000;
export class ServiceConnection {
    #socket;
    #handlers;
    #firstRetryMs;
    #token;
    #retry;
    #failures = 0;
    #connectedAt = null;
    constructor(options, names, handlers) {
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
    reconnect(token) {
        if (token !== undefined)
            this.#token = token;
        this.#failures = 0;
        this.#disconnect();
        this.#socket.connect();
    }
    /** Disconnect, and reconnect after the next delay of the backoff. */
    reconnectLater(error) {
        this.#disconnect();
        if (this.#connectedAt !== null && Date.now() - this.#connectedAt > STABLE_MS)
            this.#failures = 0;
        this.#connectedAt = null;
        const delay = retryDelay(this.#firstRetryMs, this.#failures, Math.random());
        this.#failures += 1;
        this.#retry = setTimeout(() => this.#socket.connect(), delay);
        this.#handlers.lost(error);
    }
    close() {
        this.#disconnect();
        this.#socket.offAny();
        this.#socket.off();
    }
    #disconnect() {
        clearTimeout(this.#retry);
        this.#socket.disconnect();
    }
    #listen(names) {
        const socket = this.#socket;
        for (const name of names) {
            socket.on(name, (event) => this.#handlers.event([name, event]));
        }
        socket.on("connect", () => {
            this.#connectedAt = Date.now();
            this.#handlers.connected();
        });
        socket.on("disconnect", (reason) => {
            if (reason === "io server disconnect") {
                // Most likely the token has expired. A callback gives a new one; otherwise the next connect is refused.
                this.reconnectLater({ code: "disconnected", message: "the server has ended the connection" });
            }
            else if (reason !== "io client disconnect") {
                this.#handlers.lost({ code: "connection_lost", message: reason });
            }
        });
        socket.on("connect_error", (error) => {
            if (socket.active)
                return this.#handlers.lost({ code: "unreachable", message: error.message });
            const refusal = refusalOf(error);
            if (refusal.code === TRANSIENT)
                this.reconnectLater(refusal);
            else
                this.#handlers.refused(refusal);
        });
        socket.io.on("reconnect_failed", () => {
            this.#handlers.refused({ code: "unreachable", message: "the server can't be reached" });
        });
    }
    #authenticate = (send) => {
        const engine = this.#socket.io.engine;
        const answer = (token) => {
            // The token callback may be slow: check that this is still the same connection.
            if (this.#socket.io.engine !== engine || engine.readyState !== "open" || !this.#socket.active)
                return;
            const auth = {};
            const offset = this.#handlers.offset();
            if (token !== undefined)
                auth.token = token;
            if (offset !== null)
                auth.offset = offset;
            send(auth);
        };
        const source = this.#token;
        if (typeof source !== "function")
            return answer(source);
        Promise.resolve()
            .then(source)
            .then(answer, (error) => {
            if (this.#socket.io.engine === engine && this.#socket.active) {
                this.reconnectLater({ code: "token_unavailable", message: messageOf(error) });
            }
        });
    };
}
/** Return the delay in milliseconds after this many failures; `random`, from 0 to 1, is the jitter. */
export function retryDelay(firstMs, failures, random) {
    return Math.min(firstMs * 2 ** failures, LAST_RETRY_MS) * (0.5 + random / 2);
}
function refusalOf(error) {
    // Some refusals, such as that of an unknown namespace, have a message but no code.
    const details = error.data;
    return { code: details?.code ?? "refused", message: error.message };
}
function messageOf(error) {
    return error instanceof Error ? error.message : String(error);
}
