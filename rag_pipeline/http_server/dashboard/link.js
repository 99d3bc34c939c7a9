// Built from clients/js/src/link.ts by scripts/vendor; edits are lost.
/**
 * The connection to the service: who we are and where we go on from is told at each connect, by whatever way it came
 * to that. socket.io-client connects again by itself when the transport breaks; what it leaves to us is done here.
 */
import { io } from "./socket.io.esm.min.js";
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;
/** The refusal that is none: the service can't check the token at the moment. */
const LATER = "keys_unavailable";
/** A connection that held so long was a good one: the next failure is the first again. */
const SETTLED_MS = 30_000;
export class Link {
    #socket;
    #hooks;
    #firstRetryMs;
    #token;
    #retry;
    #failures = 0;
    #connectedAt = null;
    constructor(options, names, hooks) {
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
    reconnect(token) {
        if (token !== undefined)
            this.#token = token;
        this.#failures = 0;
        this.#disconnect();
        this.#socket.connect();
    }
    /** End the connection and come back after a while, longer each time. */
    comeBack(error) {
        this.#disconnect();
        if (this.#connectedAt !== null && Date.now() - this.#connectedAt > SETTLED_MS)
            this.#failures = 0;
        this.#connectedAt = null;
        const delay = retryDelay(this.#firstRetryMs, this.#failures, Math.random());
        this.#failures += 1;
        this.#retry = setTimeout(() => this.#socket.connect(), delay);
        this.#hooks.lost(error);
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
            socket.on(name, (event) => this.#hooks.event([name, event]));
        }
        socket.on("connect", () => {
            this.#connectedAt = Date.now();
            this.#hooks.connected();
        });
        socket.on("disconnect", (reason) => {
            if (reason === "io server disconnect") {
                // Most likely the token has expired. A callback is asked for another one; if that won't do, we are refused.
                this.comeBack({ code: "disconnected", message: "the server has ended the connection" });
            }
            else if (reason !== "io client disconnect") {
                this.#hooks.lost({ code: "connection_lost", message: reason });
            }
        });
        socket.on("connect_error", (error) => {
            if (socket.active)
                return this.#hooks.lost({ code: "unreachable", message: error.message });
            const why = refusal(error);
            if (why.code === LATER)
                this.comeBack(why);
            else
                this.#hooks.refused(why);
        });
        socket.io.on("reconnect_failed", () => {
            this.#hooks.refused({ code: "unreachable", message: "the server can't be reached" });
        });
    }
    #authenticate = (send) => {
        const engine = this.#socket.io.engine;
        const answer = (token) => {
            // The token may have taken its time: this must still be the connection that it was asked for.
            if (this.#socket.io.engine !== engine || engine.readyState !== "open" || !this.#socket.active)
                return;
            const auth = {};
            const offset = this.#hooks.offset();
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
                this.comeBack({ code: "token_unavailable", message: messageOf(error) });
            }
        });
    };
}
/** Return how many milliseconds to wait after so many failures; `random`, from 0 to 1, keeps clients apart. */
export function retryDelay(firstMs, failures, random) {
    return Math.min(firstMs * 2 ** failures, LAST_RETRY_MS) * (0.5 + random / 2);
}
function refusal(error) {
    // Of a refusal for a reason that has no code, such as an unknown namespace, there is the message alone.
    const details = error.data;
    return { code: details?.code ?? "refused", message: error.message };
}
function messageOf(error) {
    return error instanceof Error ? error.message : String(error);
}
