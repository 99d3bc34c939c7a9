// Built from clients/js/src/notify.ts by scripts/vendor; edits are lost.
/** When listeners are told: so that a burst of events costs them one call. */
/** How long a tab that is not painted waits for a frame that does not come. */
const HIDDEN_TAB_MS = 250;
const FRAME_MS = 16;
/** Return what calls `tell` once for all requests that come before its time. */
export function createNotifier(when, tell) {
    if (when === "immediate")
        return { request: tell, flush() { } };
    const defer = when === "frame" ? onNextFrame : inMicrotask;
    let cancel = null;
    const run = () => {
        cancel = null;
        tell();
    };
    return {
        request() {
            cancel ??= defer(run);
        },
        flush() {
            if (cancel === null)
                return;
            cancel();
            run();
        },
    };
}
const inMicrotask = (run) => {
    let wanted = true;
    queueMicrotask(() => {
        if (wanted)
            run();
    });
    return () => {
        wanted = false;
    };
};
const onNextFrame = (run) => {
    if (typeof requestAnimationFrame !== "function") {
        const timer = setTimeout(run, FRAME_MS);
        return () => clearTimeout(timer);
    }
    // Both, since a tab may be hidden in between: then frames stop, and timers go on at a slower pace.
    const cancel = () => {
        cancelAnimationFrame(frame);
        clearTimeout(timer);
    };
    const once = () => {
        cancel();
        run();
    };
    const frame = requestAnimationFrame(once);
    const timer = setTimeout(once, HIDDEN_TAB_MS);
    return cancel;
};
