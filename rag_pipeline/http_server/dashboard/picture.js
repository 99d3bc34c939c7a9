// Built from clients/js/src/picture.ts by scripts/vendor; edits are lost.
/**
 * Keeping a pipeline's state from its events: a `pipeline:status` replaces everything, another event what it names.
 *
 * Each event costs what has changed; the lists of files are bounded, and those that an event does not name are kept.
 */
import { share } from "./share.js";
export const MAX_PROCESSING = 100;
const MAX_COMPLETED = 10;
const MAX_FAILED = 5;
const MAX_SKIPPED = 5;
/** Return the state after the event; null while no status has come. What was handed in is not changed. */
export function apply(state, ...[name, event]) {
    if (name === "pipeline:status")
        return share(state, stateOf(event));
    if (state === null || isKnown(state, event))
        return state;
    const place = placeOf(state.files_processing, event.file, name);
    const changed = { epoch: event.epoch, seq: event.seq, last_activity: event.timestamp };
    if (name === "pipeline:file_processing_started") {
        const start = { ...state, ...changed, ...started(state, event.file, place) };
        // With totals: the file had an outcome, which counts no more while the file is in flight.
        return event.totals === undefined ? start : { ...start, ...event.totals, ...listed(state, name, event.file) };
    }
    if (name === "pipeline:file_progress") {
        if (place === -1)
            return { ...state, ...changed };
        return { ...state, ...changed, files_processing: replaced(state.files_processing, place, event.file) };
    }
    return {
        ...state,
        ...changed,
        ...ended(state, event.file, place),
        ...event.totals,
        ...listed(state, name, event.file),
    };
}
/** Return whether the state shows the event already. */
export function isKnown(state, event) {
    return event.epoch === state.epoch && event.seq <= state.seq;
}
function stateOf(event) {
    const { timestamp, offset, recovered, gap, ...state } = event;
    return state;
}
function started(state, file, place) {
    return {
        files_in_flight: state.files_in_flight + (place === -1 ? 1 : 0),
        files_processing: [...without(state.files_processing, place), file].slice(-MAX_PROCESSING),
    };
}
function ended(state, file, place) {
    // One that is not shown was in flight only if there are more than those that are shown.
    if (file.started_at === null || (place === -1 && state.files_in_flight <= MAX_PROCESSING))
        return {};
    return {
        files_in_flight: state.files_in_flight - 1,
        files_processing: without(state.files_processing, place),
    };
}
/** Return the lists after the event: each file stands in one of them at most, once. */
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
/** Return the files without this one; the same array if it is not there. */
function withoutFile(files, file) {
    const isSame = (one) => one.id === file.id && (file.id !== null || one.name === file.name);
    return files.some(isSame) ? files.filter((one) => !isSame(one)) : files;
}
function without(files, place) {
    return place === -1 ? files : replaced(files, place);
}
function replaced(files, place, ...by) {
    return [...files.slice(0, place), ...by, ...files.slice(place + 1)];
}
/** Return where the file stands, under its id, or under its name if it has none; -1 if it is not there. */
function placeOf(files, file, name) {
    if (file.id !== null) {
        const place = files.findIndex((one) => one.id === file.id);
        if (place !== -1 || name === "pipeline:file_processing_started" || name === "pipeline:file_progress")
            return place;
        // It was started without an id, which became known by its end.
    }
    return files.findIndex((one) => one.id === null && one.name === file.name);
}
