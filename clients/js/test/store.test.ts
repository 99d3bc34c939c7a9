import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EPOCH, offset, statusEvent } from "./events.js";
import { Scripted } from "./scripted.js";
import { errors, follow, numbers, until } from "./service.js";

describe("with a faulty server", () => {
  test("missing events are healed by the next status on the same connection", async () => {
    const server = await Scripted.start();
    const store = follow({ url: server.url });
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    server.file(5);
    server.emit("pipeline:status", statusEvent({ seq: 5, files_in_flight: 4, offset: offset(6) }));
    server.file(6);
    await until(() => expect(store.getSnapshot().pipelines["a"]).toMatchObject({ seq: 6, files_in_flight: 5 }));
    expect(server.auths).toEqual([{}]);
  });

  test.each([
    ["a gap", { seq: 5 }],
    ["another epoch", { seq: 2, epoch: `${EPOCH} no more` }],
  ])("%s that no status explains is healed by a fresh snapshot", async (_, event) => {
    const server = await Scripted.start();
    const store = follow({ url: server.url });
    const seen = errors(store);
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    server.greet = (socket) => socket.emit("pipeline:status", statusEvent({ seq: 9, status: "healed" }));
    server.file(event.seq, event);
    await until(() => expect(seen).toEqual(["inconsistent"]));
    await until(() => expect(store.getSnapshot().pipelines["a"]?.status).toBe("healed"));
    expect(store.getSnapshot().connection).toMatchObject({ status: "live", error: null });
    expect(server.auths).toEqual([{}, {}]);
  });

  test("repeated events are ignored", async () => {
    const server = await Scripted.start();
    const store = follow({ url: server.url });
    const seen = numbers(store);
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    [2, 2, 1, 3].forEach((seq) => server.file(seq));
    await until(() => expect(store.getSnapshot().pipelines["a"]?.seq).toBe(3));
    expect(seen).toEqual([2, 3]);
    expect(store.getSnapshot().pipelines["a"]?.files_in_flight).toBe(2);
  });
});

describe("snapshots and listeners", () => {
  test("a snapshot is the same object until something changes", async () => {
    const server = await Scripted.start();
    const store = follow({ url: server.url });
    const told = vi.fn(() => store.getSnapshot());
    store.subscribe(told);
    expect(store.getSnapshot()).toBe(store.getSnapshot());
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    const before = store.getSnapshot();
    expect(store.getSnapshot()).toBe(before);
    server.file(2);
    await until(() => expect(store.getSnapshot()).not.toBe(before));
    expect(store.getSnapshot().connection).toBe(before.connection);
    expect(store.getSnapshot().pipelines["a"]?.files_failed).toBe(before.pipelines["a"]?.files_failed);
    expect(before.pipelines["a"]?.files_in_flight).toBe(0);
  });

  test("a failing listener or handler does not affect the others", async () => {
    const server = await Scripted.start();
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => reported.mockRestore());
    const fail = (): never => {
      throw new Error("a listener's own");
    };
    const store = follow({ url: server.url });
    const [listener, handler] = [vi.fn(), vi.fn()];
    [fail, listener].forEach((one) => store.subscribe(one));
    [fail, handler].forEach((one) => store.on("pipeline:status", one));
    await until(() => expect(handler).toHaveBeenCalledTimes(1));
    expect(listener).toHaveBeenCalled();
    expect(reported).toHaveBeenCalled();
  });

  test("an unsubscribed listener is not called, and unsubscribing twice is harmless", async () => {
    const server = await Scripted.start();
    const store = follow({ url: server.url });
    const listener = vi.fn();
    const leave = store.subscribe(listener);
    store.subscribe(listener);
    leave();
    leave();
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    const events = 2; // the connect and the status: each notifies at most twice
    expect(listener.mock.calls.length).toBeLessThanOrEqual(2 * events);
    expect(listener).toHaveBeenCalled();
  });

  test("a closed store notifies once, keeps its states, and stays closed", async () => {
    const server = await Scripted.start();
    const store = follow({ url: server.url });
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    const told = vi.fn(() => expect(store.getSnapshot().connection.status).toBe("closed"));
    store.subscribe(told);
    store.close();
    store.close();
    store.reconnect();
    expect(told).toHaveBeenCalledTimes(1);
    expect(store.getSnapshot().connection.status).toBe("closed");
    expect(Object.keys(store.getSnapshot().pipelines)).toEqual(["a"]);
    await until(() => expect(server.clients).toBe(0));
  });
});
