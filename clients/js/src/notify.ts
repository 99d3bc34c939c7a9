/** When listeners are told: so that a burst of events costs them one call. */

/** How long a tab that is not painted waits for a frame that does not come. */
const HIDDEN_TAB_MS = 250;
const FRAME_MS = 16;

export interface Notifier {
  /** Something has changed: tell the listeners when it is time. */
  request(): void;
  /** Tell at once what waits to be told. */
  flush(): void;
}

type Cancel = () => void;
type Defer = (run: () => void) => Cancel;

/** Return what calls `tell` once for all requests that come before its time. */
export function createNotifier(when: "frame" | "microtask" | "immediate", tell: () => void): Notifier {
  if (when === "immediate") return { request: tell, flush() {} };
  const defer = when === "frame" ? onNextFrame : inMicrotask;
  let cancel: Cancel | null = null;
  const run = (): void => {
    cancel = null;
    tell();
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
  let wanted = true;
  queueMicrotask(() => {
    if (wanted) run();
  });
  return () => {
    wanted = false;
  };
};

const onNextFrame: Defer = (run) => {
  if (typeof requestAnimationFrame !== "function") {
    const timer = setTimeout(run, FRAME_MS);
    return () => clearTimeout(timer);
  }
  // Both, since a tab may be hidden in between: then frames stop, and timers go on at a slower pace.
  const cancel = (): void => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
  const once = (): void => {
    cancel();
    run();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, HIDDEN_TAB_MS);
  return cancel;
};
