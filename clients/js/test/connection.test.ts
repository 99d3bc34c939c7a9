import { expect, test, vi } from "vitest";
import { retryDelay } from "../src/connection.js";
import { offset, statusEvent } from "./events.js";
import { Scripted } from "./scripted.js";
import { errors, follow, until } from "./service.js";

test("after a refusal no attempt is made until there is a new token", async () => {
  const server = await Scripted.start();
  server.refusal = { code: "token_invalid", message: "this token is not known here" };
  const store = follow({ url: server.url, token: "wrong" });
  await until(() => expect(store.getSnapshot().connection).toMatchObject({ status: "refused", error: server.refusal }));
  server.refusal = null;
  store.reconnect("right");
  await until(() => expect(store.getSnapshot().connection).toMatchObject({ status: "live", error: null }));
  expect(server.auths).toEqual([{ token: "wrong" }, { token: "right" }]);
});

test("a service that can't check the token now is retried", async () => {
  const server = await Scripted.start();
  server.refusal = { code: "keys_unavailable", message: "the keys can't be had" };
  const store = follow({ url: server.url, token: "good" });
  await until(() =>
    expect(store.getSnapshot().connection).toMatchObject({ status: "connecting", error: server.refusal }),
  );
  server.refusal = null;
  await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
});

test("after a disconnect by the server the client resumes with a fresh token", async () => {
  const server = await Scripted.start();
  const tokens = ["first", "second"];
  const store = follow({ url: server.url, token: async () => tokens.shift() ?? "none left" });
  const seen = errors(store);
  await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
  server.greet = (socket) => socket.emit("pipeline:status", statusEvent({ recovered: true }));
  server.dismiss();
  await until(() => expect(seen).toEqual(["disconnected"]));
  await until(() => expect(store.getSnapshot()).toMatchObject({ connection: { status: "live" }, recovered: true }));
  expect(server.auths).toEqual([{ token: "first" }, { token: "second", offset: offset(1) }]);
});

test("a refusal after a disconnect by the server is final", async () => {
  const server = await Scripted.start();
  const store = follow({ url: server.url, token: "expired" });
  await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
  server.refusal = { code: "token_expired", message: "the token has expired" };
  server.dismiss();
  await until(() => expect(store.getSnapshot().connection).toMatchObject({ status: "refused", error: server.refusal }));
  expect(server.auths.length).toBe(2);
  expect(Object.keys(store.getSnapshot().pipelines)).toEqual(["a"]);
});

test("a failing token callback is retried", async () => {
  const server = await Scripted.start();
  const token = vi.fn<() => string>().mockImplementationOnce(() => {
    throw new Error("the sign-in service is down");
  });
  const store = follow({ url: server.url, token: token.mockReturnValue("at last") });
  const seen = errors(store);
  await until(() => expect(seen).toEqual(["token_unavailable"]));
  await until(() => expect(store.getSnapshot().connection).toMatchObject({ status: "live", attempts: 0 }));
  expect(server.auths).toEqual([{ token: "at last" }]);
});

test("a token that arrives after its connection has ended is not used", async () => {
  const server = await Scripted.start();
  const answers: ((token: string) => void)[] = [];
  const store = follow({ url: server.url, token: () => new Promise<string>((answer) => answers.push(answer)) });
  await until(() => expect(answers.length).toBe(1));
  store.reconnect();
  await until(() => expect(answers.length).toBe(2));
  answers[0]?.("late");
  answers[1]?.("in time");
  await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
  expect(server.auths).toEqual([{ token: "in time" }]);
});

test("an unreachable server is retried, and the attempts are counted", async () => {
  const server = await Scripted.start();
  const { url } = server;
  await server.stop();
  const store = follow({ url });
  await until(() => expect(store.getSnapshot().connection.attempts).toBeGreaterThan(2));
  expect(store.getSnapshot().connection).toMatchObject({ status: "connecting", error: { code: "unreachable" } });
});

test("limited attempts end in a refusal", async () => {
  const server = await Scripted.start();
  const { url } = server;
  await server.stop();
  const store = follow({ url, io: { reconnectionAttempts: 2, reconnectionDelay: 10 } });
  await until(() => expect(store.getSnapshot().connection.status).toBe("refused"));
});

test("each failure doubles the delay, up to 30 s, with jitter", () => {
  expect([0, 1, 2, 3].map((failures) => retryDelay(1000, failures, 1))).toEqual([1000, 2000, 4000, 8000]);
  expect(retryDelay(1000, 40, 1)).toBe(30_000);
  expect(retryDelay(1000, 0, 0)).toBe(500);
});
