import { afterEach, expect, test, vi } from "vitest";
import { createNotifier } from "../src/notify.js";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Give the page frames that the test triggers. */
function frames(): { paint(): void } {
  let waiting = new Map<number, () => void>();
  let last = 0;
  vi.stubGlobal("requestAnimationFrame", (run: () => void) => (waiting.set(++last, run), last));
  vi.stubGlobal("cancelAnimationFrame", (handle: number) => waiting.delete(handle));
  return {
    paint() {
      const now = waiting;
      waiting = new Map();
      now.forEach((run) => run());
    },
  };
}

test("a burst notifies once, with the next frame", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const page = frames();
  const tell = vi.fn();
  const notifier = createNotifier("frame", tell);
  for (let n = 0; n < 500; n++) notifier.request();
  expect(tell).not.toHaveBeenCalled();
  page.paint();
  page.paint();
  vi.runAllTimers();
  expect(tell).toHaveBeenCalledTimes(1);
  notifier.request();
  page.paint();
  expect(tell).toHaveBeenCalledTimes(2);
});

test("a hidden tab without frames is notified by a timer, and not again by a frame", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const page = frames();
  const tell = vi.fn();
  createNotifier("frame", tell).request();
  vi.runAllTimers();
  page.paint();
  expect(tell).toHaveBeenCalledTimes(1);
});

test("without frames, as in Node, a timer notifies", async () => {
  vi.stubGlobal("requestAnimationFrame", undefined);
  await new Promise<void>((told) => createNotifier("frame", told).request());
});

test("a microtask notifies once for the task before it", async () => {
  const tell = vi.fn();
  const notifier = createNotifier("microtask", tell);
  notifier.request();
  notifier.request();
  expect(tell).not.toHaveBeenCalled();
  await Promise.resolve();
  expect(tell).toHaveBeenCalledTimes(1);
});

test("immediate notifies each time", () => {
  const tell = vi.fn();
  const notifier = createNotifier("immediate", tell);
  notifier.request();
  notifier.request();
  expect(tell).toHaveBeenCalledTimes(2);
});

test.each(["frame", "microtask"] as const)("what waits is told at once if need be, and once (%s)", async (when) => {
  const page = frames();
  const tell = vi.fn();
  const notifier = createNotifier(when, tell);
  notifier.flush();
  expect(tell).not.toHaveBeenCalled();
  notifier.request();
  notifier.flush();
  expect(tell).toHaveBeenCalledTimes(1);
  page.paint();
  await Promise.resolve();
  expect(tell).toHaveBeenCalledTimes(1);
});
