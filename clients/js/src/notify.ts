/** Coalesces notifications: a burst of events calls the listeners once. */

/** How long a hidden tab, which gets no frames, waits before it notifies. */
const HIDDEN_TAB_MS = 250;
const FRAME_MS = 16;

export interface Notifier {
  /** Schedule a notification, unless one is scheduled. */
  request(): void;
  /** Make a scheduled notification now. */
  flush(): void;
}

type Cancel = () => void;
type Defer = (run: () => void) => Cancel;

/** Return a notifier that calls `notify` once for all requests within a frame or microtask. */
export function createNotifier(when: "frame" | "microtask" | "immediate", notify: () => void): Notifier {
  if (when === "immediate") return { request: notify, flush() {} };
  const defer = when === "frame" ? onNextFrame : inMicrotask;
  let cancel: Cancel | null = null;
  const run = (): void => {
    cancel = null;
    notify();
  };
  return {
    request() {
      cancel ??= defer(run);
    },
    flush() {
      if (cancel === null) return;
      cancel();
      run();
    },
  };
}

const inMicrotask: Defer = (run) => {
  let pending = true;
  queueMicrotask(() => {
    if (pending) run();
  });
  return () => {
    pending = false;
  };
};

const onNextFrame: Defer = (run) => {
  if (typeof requestAnimationFrame !== "function") {
    const timer = setTimeout(run, FRAME_MS);
    return () => clearTimeout(timer);
  }
  // Both, because the tab may become hidden: then frames stop, and timers continue more slowly.
  const cancel = (): void => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
  const runOnce = (): void => {
    cancel();
    run();
  };
  const frame = requestAnimationFrame(runOnce);
  const timer = setTimeout(runOnce, HIDDEN_TAB_MS);
  return cancel;
};
