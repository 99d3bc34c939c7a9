// Built from clients/js/src/state-tracker.ts by scripts/vendor; edits are lost.
/**
 * Tracks the states of all pipelines across connections; no I/O, no clock.
 *
 * A connection starts with a round of statuses, one for each pipeline (`fresh`), or with the missed events followed by
 * such a round (`resuming`). A pipeline that is missing in the round no longer exists.
 */
import { apply, isKnown } from "./state-reducer.js";
/** The offset of events before the initial snapshot is complete: it can't be resumed from. */
export const NO_RESUME_OFFSET = "0000000000000000-0";
const TYPES = {
    "/pipeline": null,
    "/google_drive": "google_drive",
    "/local_files": "local_files",
    "/": null,
};
export class StateTracker {
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
    /** The offset to resume from; null to start afresh. */
    get offset() {
        return this.#offset;
    }
    /** Whether the last connection missed nothing; null if it did not resume. */
    get recovered() {
        return this.#recovered;
    }
    /** Whether the initial statuses are complete. */
    get live() {
        return this.#phase === "live";
    }
    /** Whether a round has begun and may have more statuses. */
    get inRound() {
        return this.#round !== null;
    }
    /** Whether a pipeline waits for a status, because events are missing. */
    get withholding() {
        return this.#withheld.size > 0;
    }
    /** The states by pipeline id; the same object until one changes. */
    get pipelines() {
        return (this.#pipelines ??= Object.fromEntries(this.#states));
    }
    /** Begin a connection, which resumes if there is an offset. */
    begin() {
        this.#phase = this.#offset === null ? "fresh" : "resuming";
        this.#round = null;
        this.#recovered = null;
        this.#withheld.clear();
    }
    /** End the connection; withheld events require a fresh start. */
    interrupt() {
        if (this.withholding)
            this.forget();
    }
    /** Make the next connection start afresh. */
    forget() {
        this.#offset = null;
    }
    /** Take in an event. */
    take(named) {
        const [name, event] = named;
        if (name === "pipeline:status" && !this.live)
            this.#takeInitialStatus(event);
        const result = event.pipeline_id === null ? "known" : this.#apply(event.pipeline_id, named);
        if (event.offset !== NO_RESUME_OFFSET) {
            this.#offset = event.offset;
            // The last status of the round is the first with an offset that can be resumed from.
            if (this.#phase === "fresh" && this.#round !== null)
                this.endRound();
        }
        return result;
    }
    /** End the round: pipelines that were not in it are removed. */
    endRound() {
        for (const id of this.#states.keys()) {
            if (this.#round !== null && !this.#round.has(id))
                this.#remove(id);
        }
        this.#round = null;
        this.#phase = "live";
    }
    /** Take in a status of the round. */
    #takeInitialStatus(status) {
        if (this.#phase === "resuming" && status.recovered !== undefined) {
            this.#recovered = status.recovered;
            this.#phase = status.recovered ? "live" : "fresh";
            if (!status.recovered)
                this.forget();
        }
        if (this.#phase !== "resuming")
            this.#round ??= new Set();
    }
    #apply(id, named) {
        const [name, event] = named;
        const state = this.#states.get(id) ?? null;
        this.#round?.add(id);
        if (name === "pipeline:status") {
            this.#withheld.delete(id);
            if (this.#type !== null && event.pipeline_type !== this.#type) {
                this.#remove(id); // its type has changed: this is its last status in this namespace
                return "applied";
            }
            if (state === null && this.live)
                this.#removePlaceholders(event);
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
    /** A pipeline reports for the first time: remove its entry with a provisional id. */
    #removePlaceholders(status) {
        for (const [id, state] of this.#states) {
            if (state.seq === 0 && (state.epoch === status.epoch || state.pipeline_type === null))
                this.#remove(id);
        }
    }
    #remove(id) {
        if (this.#states.delete(id))
            this.#pipelines = null;
        this.#withheld.delete(id);
    }
}
