// Built from clients/js/src/store.ts by scripts/vendor; edits are lost.
/** The store: a connection, the tracked states, and the listeners. */
import { ServiceConnection } from "./connection.js";
import { createNotifier } from "./notify.js";
import { StateTracker } from "./state-tracker.js";
const EVENT_NAMES = {
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
export function createPipelineStore(options) {
    return new Store(options);
}
/** Return the snapshot before the first connection. */
export function initialSnapshot(since) {
    const connection = { status: "connecting", since, error: null, attempts: 0 };
    return { connection, pipelines: {}, offset: null, lastEventAt: null, recovered: null };
}
class Store {
    #tracker;
    #service;
    #notifier;
    #listeners = new Set();
    #handlers = new Map();
    #snapshot = initialSnapshot(Date.now());
    #stale = false;
    #connection = this.#snapshot.connection;
    #lastEventAt = null;
    #roundTimer;
    #healTimer;
    constructor(options) {
        this.#tracker = new StateTracker(options.namespace ?? "/pipeline");
        this.#notifier = createNotifier(options.notify ?? "frame", () => this.#notifyListeners());
        this.#service = new ServiceConnection(options, Object.keys(EVENT_NAMES), {
            offset: () => this.#tracker.offset,
            connected: () => this.#begin(),
            event: (named) => this.#take(named),
            lost: (error) => this.#handleLoss(error),
            refused: (error) => this.#end("refused", error),
        });
    }
    getSnapshot = () => {
        if (this.#stale) {
            // Built on demand: a flood of events between two calls costs nothing here.
            this.#stale = false;
            const { pipelines, offset, recovered } = this.#tracker;
            this.#snapshot = { connection: this.#connection, pipelines, offset, lastEventAt: this.#lastEventAt, recovered };
        }
        return this.#snapshot;
    };
    subscribe = (listener) => {
        // A new function, so that a listener can be subscribed, and unsubscribed, twice.
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
        this.#tracker.interrupt();
        this.#setConnection(this.#lastEventAt === null ? "connecting" : "reconnecting", null, 0);
        this.#service.reconnect(token);
    };
    close = () => {
        if (this.#connection.status === "closed")
            return;
        this.#service.close();
        this.#end("closed", null);
        this.#notifier.flush();
        this.#listeners.clear();
        this.#handlers.clear();
    };
    // -- events of the connection ----------------------------------------------------------------------------------
    #begin() {
        this.#tracker.begin();
        if (this.#tracker.offset !== null)
            this.#setConnection("catching-up", null, this.#connection.attempts);
    }
    #take(named) {
        const result = this.#tracker.take(named);
        this.#lastEventAt = Date.now();
        this.#updateStatus();
        this.#markChanged();
        if (result !== "known")
            this.#callHandlers(named);
    }
    #handleLoss(error) {
        this.#stopTimers();
        this.#tracker.interrupt();
        const status = this.#lastEventAt === null ? "connecting" : "reconnecting";
        this.#setConnection(status, error, this.#connection.attempts + 1);
    }
    #end(status, error) {
        this.#stopTimers();
        this.#tracker.interrupt();
        this.#setConnection(status, error, this.#connection.attempts);
    }
    // -- state -----------------------------------------------------------------------------------------------------
    /** Become live if everything is there, and start or stop the timers. */
    #updateStatus() {
        const tracker = this.#tracker;
        if (tracker.live && this.#connection.status !== "live")
            this.#setConnection("live", null, 0);
        this.#roundTimer = timerWhile(tracker.inRound, this.#roundTimer, ROUND_MS, () => this.#endRound());
        this.#healTimer = timerWhile(tracker.live && tracker.withholding, this.#healTimer, HEAL_MS, () => this.#heal());
    }
    #endRound() {
        this.#roundTimer = undefined;
        this.#tracker.endRound();
        this.#updateStatus();
        this.#markChanged();
    }
    #heal() {
        this.#tracker.forget();
        this.#service.reconnectLater({ code: "inconsistent", message: "events are missing: the state is requested again" });
    }
    #setConnection(status, error, attempts) {
        const since = status === this.#connection.status ? this.#connection.since : Date.now();
        this.#connection = { status, since, error, attempts };
        this.#markChanged();
    }
    #markChanged() {
        this.#stale = true;
        this.#notifier.request();
    }
    #stopTimers() {
        clearTimeout(this.#roundTimer);
        clearTimeout(this.#healTimer);
        this.#roundTimer = this.#healTimer = undefined;
    }
    #notifyListeners() {
        for (const listener of [...this.#listeners])
            runSafely(listener);
    }
    #callHandlers([name, event]) {
        for (const handler of [...(this.#handlers.get(name) ?? [])])
            runSafely(() => handler(event));
    }
}
/** Keep a timer running while the condition holds, and return it; called after each event. */
function timerWhile(condition, timer, ms, run) {
    if (condition)
        return timer ?? setTimeout(run, ms);
    clearTimeout(timer);
    return undefined;
}
/** Run a callback of the user; if it throws, report the error and continue. */
function runSafely(run) {
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
