import { createHmac } from "node:crypto";
import { expect, test, vi } from "vitest";
import { follow, numbers, same, Service, until } from "./service.js";

const TOKEN = "a-token-that-only-these-tests-know";
const SECRET = "a-secret-that-only-these-tests-sign-with";

/** Return a token like one from a frontend's sign-in. */
function signed(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("base64url")}`;
}

const inSeconds = (seconds: number): number => Math.ceil(Date.now() / 1000) + seconds;

test("a service with a token refuses a missing or wrong one, and accepts the right one", async () => {
  const service = await Service.start(0, { STATUS_AUTH_TOKEN: TOKEN });
  const store = follow({ url: service.url });
  const refusedFor = (code: string): Promise<void> =>
    until(() => expect(store.getSnapshot().connection).toMatchObject({ status: "refused", error: { code } }));
  await refusedFor("token_missing");
  store.reconnect(`${TOKEN}-not`);
  await refusedFor("token_invalid");
  store.reconnect(TOKEN);
  await until(() => expect(store.getSnapshot().connection).toMatchObject({ status: "live", error: null }));
});

test("a token for one namespace is refused in another", async () => {
  const service = await Service.start(0, { STATUS_JWT_SECRET: SECRET });
  const token = signed({ exp: inSeconds(600), namespaces: ["local_files"] });
  const all = follow({ url: service.url, token });
  const files = follow({ url: service.url, token, namespace: "/local_files" });
  await until(() => expect(all.getSnapshot().connection.error?.code).toBe("namespace_not_allowed"));
  await until(() => expect(files.getSnapshot().connection.status).toBe("live"));
});

test("an expired token is renewed, and nothing is missed or repeated", async () => {
  const service = await Service.start(0, { STATUS_JWT_SECRET: SECRET });
  const pipeline = service.pipeline("papers");
  await pipeline.make("local_files");
  const token = vi.fn(async () => signed({ exp: inSeconds(2) }));
  const store = follow({ url: service.url, token });
  const seen = numbers(store);
  await same(store, "papers", pipeline);
  for (let n = 0; token.mock.calls.length < 3; n++) {
    await pipeline.complete(`file-${n}`);
    await until(() => expect(seen.length).toBe(n + 1));
  }
  await same(store, "papers", pipeline);
  expect(seen).toEqual(seen.map((_, n) => n + 1));
  expect(store.getSnapshot().recovered).toBe(true);
});

test("an expired token without a successor ends in a refusal, and the states are kept", async () => {
  const service = await Service.start(0, { STATUS_JWT_SECRET: SECRET });
  await service.pipeline("papers").make("local_files");
  const store = follow({ url: service.url, token: signed({ exp: inSeconds(1) }) });
  await until(() => expect(Object.keys(store.getSnapshot().pipelines)).toEqual(["papers"]));
  await until(() => {
    expect(store.getSnapshot().connection).toMatchObject({ status: "refused", error: { code: "token_expired" } });
  });
  expect(Object.keys(store.getSnapshot().pipelines)).toEqual(["papers"]);
});
