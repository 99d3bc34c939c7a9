// Built from clients/js/src/store.ts by scripts/vendor; edits are lost.
/** The store: one connection, the pictures it keeps, and who is told of changes. */
import { Link } from "./link.js";
import { createNotifier } from "./notify.js";
import { Pictures } from "./pictures.js";
const EVENT_NAMES = {
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
export function createPipelineStore(options) {
    return new Store(options);
}
/** What there is before a connection. */
export function nothingYet(since) {
    const connection = { status: "connecting", since, error: null, attempts: 0 };
    return { connection, pipelines: {}, offset: null, lastEventAt: null, recovered: null };
}
class Store {
    #pictures;
    #link;
    #notifier;
    #listeners = new Set();
    #handlers = new Map();
    #snapshot = nothingYet(Date.now());
    #stale = false;
    #connection = this.#snapshot.connection;
    #lastEventAt = null;
    #roundTimer;
    #healTimer;
    constructor(options) {
        this.#pictures = new Pictures(options.namespace ?? "/pipeline");
        this.#notifier = createNotifier(options.notify ?? "frame", () => this.#tell());
        this.#link = new Link(options, Object.keys(EVENT_NAMES), {
            offset: () => this.#pictures.offset,
            connected: () => this.#begin(),
            event: (named) => this.#take(named),
            lost: (error) => this.#lose(error),
            refused: (error) => this.#end("refused", error),
        });
    }
    getSnapshot = () => {
        if (this.#stale) {
            // Made when it is asked for: a flood of events between two looks costs nothing here.
            this.#stale = false;
            const { pipelines, offset, recovered } = this.#pictures;
            this.#snapshot = { connection: this.#connection, pipelines, offset, lastEventAt: this.#lastEventAt, recovered };
        }
        return this.#snapshot;
    };
    subscribe = (listener) => {
        // One more function, so that a listener that is given twice is told, and ends, twice.
        const own = () => listener();
        this.#listeners.add(own);
        return () => this.#listeners.delete(own);
    };
    on = (name, handler) => {
        const own = (event) => handler(event);
        const handlers = this.#handlers.get(name) ?? new Set();
        this.#handlers.set(name, handlers.add(own));
        return () => handlers.delete(own);
    };
    reconnect = (token) => {
        if (this.#connection.status === "closed")
            return;
        this.#stopTimers();
        this.#pictures.interrupt();
        this.#enter(this.#lastEventAt === null ? "connecting" : "reconnecting", null, 0);
        this.#link.reconnect(token);
    };
    close = () => {
        if (this.#connection.status === "closed")
            return;
        this.#link.close();
        this.#end("closed", null);
        this.#notifier.flush();
        this.#listeners.clear();
        this.#handlers.clear();
    };
    // -- what the link tells ---------------------------------------------------------------------------------------
    #begin() {
        this.#pictures.begin();
        if (this.#pictures.offset !== null)
            this.#enter("catching-up", null, this.#connection.attempts);
    }
    #take(named) {
        const verdict = this.#pictures.take(named);
        this.#lastEventAt = Date.now();
        this.#settle();
        this.#change();
        if (verdict !== "known")
            this.#hand(named);
    }
    #lose(error) {
        this.#stopTimers();
        this.#pictures.interrupt();
        const status = this.#lastEventAt === null ? "connecting" : "reconnecting";
        this.#enter(status, error, this.#connection.attempts + 1);
    }
    #end(status, error) {
        this.#stopTimers();
        this.#pictures.interrupt();
        this.#enter(status, error, this.#connection.attempts);
    }
    // -- what follows from it --------------------------------------------------------------------------------------
    /** Look whether all is there, and see to what is not. */
    #settle() {
        const pictures = this.#pictures;
        if (pictures.live && this.#connection.status !== "live")
            this.#enter("live", null, 0);
        this.#roundTimer = during(pictures.inRound, this.#roundTimer, ROUND_MS, () => this.#endRound());
        this.#healTimer = during(pictures.live && pictures.withholding, this.#healTimer, HEAL_MS, () => this.#heal());
    }
    #endRound() {
        this.#roundTimer = undefined;
        this.#pictures.endRound();
        this.#settle();
        this.#change();
    }
    #heal() {
        this.#pictures.forget();
        this.#link.comeBack({ code: "inconsistent", message: "events are missing: the state is asked for anew" });
    }
    #enter(status, error, attempts) {
        const since = status === this.#connection.status ? this.#connection.since : Date.now();
        this.#connection = { status, since, error, attempts };
        this.#change();
    }
    #change() {
        this.#stale = true;
        this.#notifier.request();
    }
    #stopTimers() {
        clearTimeout(this.#roundTimer);
        clearTimeout(this.#healTimer);
        this.#roundTimer = this.#healTimer = undefined;
    }
    #tell() {
        for (const listener of [...this.#listeners])
            guarded(listener);
    }
    #hand([name, event]) {
        for (const handler of [...(this.#handlers.get(name) ?? [])])
            guarded(() => handler(event));
    }
}
/** Return the timer that runs once the condition has held for so long; it is looked at after each event. */
function during(condition, timer, ms, run) {
    if (condition)
        return timer ?? setTimeout(run, ms);
    clearTimeout(timer);
    return undefined;
}
/** Run what others have given us: one that fails must not stop the rest. */
function guarded(run) {
    try {
        run();
    }
    catch (error) {
        if (typeof reportError === "function")
            reportError(error);
        else
            console.error(error);
    }
}
