// Built from clients/js/src/state-reducer.ts by scripts/vendor; edits are lost.
/**
 * Derives a pipeline's state from its events: a `pipeline:status` replaces the state, other events change parts of it.
 *
 * Unchanged parts stay the same objects, and the lists of files are bounded.
 */
import { share } from "./share.js";
export const MAX_PROCESSING = 100;
const MAX_COMPLETED = 10;
const MAX_FAILED = 5;
const MAX_SKIPPED = 5;
/** Return the state after the event; null before the first status. The arguments are not changed. */
export function apply(state, ...[name, event]) {
    if (name === "pipeline:status")
        return share(state, stateOf(event));
    if (state === null || isKnown(state, event))
        return state;
    const index = indexOf(state.files_processing, event.file, name);
    const changed = { epoch: event.epoch, seq: event.seq, last_activity: event.timestamp };
    if (name === "pipeline:file_processing_started") {
        const start = { ...state, ...changed, ...started(state, event.file, index) };
        // With totals: the file had an outcome, which does not count while the file is in flight again.
        return event.totals === undefined ? start : { ...start, ...event.totals, ...listed(state, name, event.file) };
    }
    if (name === "pipeline:file_progress") {
        if (index === -1)
            return { ...state, ...changed };
        return { ...state, ...changed, files_processing: replaced(state.files_processing, index, event.file) };
    }
    return {
        ...state,
        ...changed,
        ...ended(state, event.file, index),
        ...event.totals,
        ...listed(state, name, event.file),
    };
}
/** Return whether the state already includes the event. */
export function isKnown(state, event) {
    return event.epoch === state.epoch && event.seq <= state.seq;
}
function stateOf(event) {
    const { timestamp, offset, recovered, gap, ...state } = event;
    return state;
}
function started(state, file, index) {
    return {
        files_in_flight: state.files_in_flight + (index === -1 ? 1 : 0),
        files_processing: [...without(state.files_processing, index), file].slice(-MAX_PROCESSING),
    };
}
function ended(state, file, index) {
    // An unlisted file was in flight only if there are more files in flight than the list holds.
    if (file.started_at === null || (index === -1 && state.files_in_flight <= MAX_PROCESSING))
        return {};
    return {
        files_in_flight: state.files_in_flight - 1,
        files_processing: without(state.files_processing, index),
    };
}
/** Return the lists after the event; each file is in at most one of them, once. */
function listed(state, name, file) {
    const lists = {
        files_completed: withoutFile(state.files_completed, file),
        files_failed: withoutFile(state.files_failed, file),
        files_skipped: withoutFile(state.files_skipped, file),
    };
    switch (name) {
        case "pipeline:file_completed":
            return { ...lists, files_completed: [...lists.files_completed, file].slice(-MAX_COMPLETED) };
        case "pipeline:file_failed":
            return { ...lists, files_failed: [...lists.files_failed, file].slice(-MAX_FAILED) };
        case "pipeline:file_skipped":
            return { ...lists, files_skipped: [...lists.files_skipped, file].slice(-MAX_SKIPPED) };
        default:
            return lists;
    }
}
/** Return the files without this one; the same array if it is not in it. */
function withoutFile(files, file) {
    const isSame = (other) => other.id === file.id && (file.id !== null || other.name === file.name);
    return files.some(isSame) ? files.filter((other) => !isSame(other)) : files;
}
function without(files, index) {
    return index === -1 ? files : replaced(files, index);
}
function replaced(files, index, ...by) {
    return [...files.slice(0, index), ...by, ...files.slice(index + 1)];
}
/** Return the index of the file, found by its id, or by its name without an id; -1 if it is not there. */
function indexOf(files, file, name) {
    if (file.id !== null) {
        const index = files.findIndex((other) => other.id === file.id);
        if (index !== -1 || name === "pipeline:file_processing_started" || name === "pipeline:file_progress")
            return index;
        // It was started without an id, which became known at its end.
    }
    return files.findIndex((other) => other.id === null && other.name === file.name);
}
