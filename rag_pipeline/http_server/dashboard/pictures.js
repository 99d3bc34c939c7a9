// Built from clients/js/src/pictures.ts by scripts/vendor; edits are lost.
/**
 * The pictures of all pipelines, kept from what one connection after another brings; without I/O and without a clock.
 *
 * A connection begins with a round of statuses, one for each pipeline (`fresh`), or with what was missed and such a
 * round after it (`resuming`). What the server does not send in its round is shown there no more.
 */
import { apply, isKnown } from "./picture.js";
/** The offset of what is sent before a newcomer has every state: there is no going on from it. */
export const NOWHERE = "0000000000000000-0";
const TYPES = {
    "/pipeline": null,
    "/google_drive": "google_drive",
    "/local_files": "local_files",
    "/": null,
};
export class Pictures {
    #type;
    #states = new Map();
    #withheld = new Set();
    #phase = "fresh";
    #round = null;
    #pipelines = null;
    #offset = null;
    #recovered = null;
    constructor(namespace) {
        this.#type = TYPES[namespace];
    }
    /** Where to go on from; null to start afresh. */
    get offset() {
        return this.#offset;
    }
    /** Whether the last connection left nothing out; null if it was not asked to go on. */
    get recovered() {
        return this.#recovered;
    }
    /** Whether every pipeline is shown as of its last event. */
    get live() {
        return this.#phase === "live";
    }
    /** Whether statuses of a round have come, and there may be more. */
    get inRound() {
        return this.#round !== null;
    }
    /** Whether a pipeline waits for a status, since events of it are missing. */
    get withholding() {
        return this.#withheld.size > 0;
    }
    /** The states by pipeline id; the same object until one changes. */
    get pipelines() {
        return (this.#pipelines ??= Object.fromEntries(this.#states));
    }
    /** A connection begins, which goes on from the offset if there is one. */
    begin() {
        this.#phase = this.#offset === null ? "fresh" : "resuming";
        this.#round = null;
        this.#recovered = null;
        this.#withheld.clear();
    }
    /** The connection has ended: what was withheld can only be had by starting afresh. */
    interrupt() {
        if (this.withholding)
            this.forget();
    }
    /** Start afresh with the next connection. */
    forget() {
        this.#offset = null;
    }
    /** Take in an event. */
    take(named) {
        const [name, event] = named;
        if (name === "pipeline:status" && !this.live)
            this.#greeted(event);
        const verdict = event.pipeline_id === null ? "known" : this.#see(event.pipeline_id, named);
        if (event.offset !== NOWHERE) {
            this.#offset = event.offset;
            // The last state of the round is the first that can be gone on from.
            if (this.#phase === "fresh" && this.#round !== null)
                this.endRound();
        }
        return verdict;
    }
    /** The round is over: pipelines that were not in it are gone. */
    endRound() {
        for (const id of this.#states.keys()) {
            if (this.#round !== null && !this.#round.has(id))
                this.#delete(id);
        }
        this.#round = null;
        this.#phase = "live";
    }
    /** A status came before all was live: it is of the round. */
    #greeted(status) {
        if (this.#phase === "resuming" && status.recovered !== undefined) {
            this.#recovered = status.recovered;
            this.#phase = status.recovered ? "live" : "fresh";
            if (!status.recovered)
                this.forget();
        }
        if (this.#phase !== "resuming")
            this.#round ??= new Set();
    }
    #see(id, named) {
        const [name, event] = named;
        const state = this.#states.get(id) ?? null;
        this.#round?.add(id);
        if (name === "pipeline:status") {
            this.#withheld.delete(id);
            if (this.#type !== null && event.pipeline_type !== this.#type) {
                this.#delete(id); // its type has changed: this was the last that is said of it here
                return "applied";
            }
            if (state === null && this.live)
                this.#supersede(event);
        }
        else {
            if (state !== null && isKnown(state, event))
                return "known";
            if (state === null || event.epoch !== state.epoch || event.seq !== state.seq + 1) {
                this.#withheld.add(id);
                return "withheld";
            }
        }
        const next = apply(state, ...named);
        if (next !== null && next !== state) {
            this.#states.set(id, next);
            this.#pipelines = null;
        }
        return "applied";
    }
    /** A pipeline reports for the first time: the one that stood there under a provisional id is this one. */
    #supersede(status) {
        for (const [id, state] of this.#states) {
            if (state.seq === 0 && (state.epoch === status.epoch || state.pipeline_type === null))
                this.#delete(id);
        }
    }
    #delete(id) {
        if (this.#states.delete(id))
            this.#pipelines = null;
        this.#withheld.delete(id);
    }
}
