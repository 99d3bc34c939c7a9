// Built from clients/js/src/notify.ts by scripts/vendor; edits are lost.
/** Coalesces notifications: a burst of events calls the listeners once. */
/** How long a hidden tab, which gets no frames, waits before it notifies. */
const HIDDEN_TAB_MS = 250;
const FRAME_MS = 16;
/** Return a notifier that calls `notify` once for all requests within a frame or microtask. */
export function createNotifier(when, notify) {
    if (when === "immediate")
        return { request: notify, flush() { } };
    const defer = when === "frame" ? onNextFrame : inMicrotask;
    let cancel = null;
    const run = () => {
        cancel = null;
        notify();
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
    let pending = true;
    queueMicrotask(() => {
        if (pending)
            run();
    });
    return () => {
        pending = false;
    };
};
const onNextFrame = (run) => {
    if (typeof requestAnimationFrame !== "function") {
        const timer = setTimeout(run, FRAME_MS);
        return () => clearTimeout(timer);
    }
    // Both, because the tab may become hidden: then frames stop, and timers continue more slowly.
    const cancel = () => {
        cancelAnimationFrame(frame);
        clearTimeout(timer);
    };
    const runOnce = () => {
        cancel();
        run();
    };
    const frame = requestAnimationFrame(runOnce);
    const timer = setTimeout(runOnce, HIDDEN_TAB_MS);
    return cancel;
};
