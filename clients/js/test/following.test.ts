import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Namespace } from "../src/index.js";
import { follow, numbers, same, Service, until } from "./service.js";
import { Wire } from "./wire.js";

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "rag-pipeline-status-client-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe("a store follows the service", () => {
  test("the state equals the pipeline's after each call", async () => {
    const service = await Service.start();
    const pipeline = service.pipeline("papers");
    await pipeline.make("local_files");
    const store = follow({ url: service.url });
    await pipeline.update({ status: "running", folder: { name: "papers" } });
    await pipeline.start("a.pdf", "1");
    await same(store, "papers", pipeline);
    await pipeline.progress("a.pdf", "chunking", 0.5);
    await pipeline.start("b.pdf");
    await pipeline.complete("b.pdf", false, { error: "unreadable" });
    await pipeline.complete("a.pdf", true, { result: { chunks: 12 } });
    await same(store, "papers", pipeline);
    expect(store.getSnapshot().pipelines["papers"]).toMatchObject({ total_processed: 1, total_failed: 1 });
  });

  test("a handler gets each event once, after the snapshot includes it", async () => {
    const service = await Service.start();
    const pipeline = service.pipeline("papers");
    await pipeline.make("local_files");
    const store = follow({ url: service.url });
    const shown: unknown[] = [];
    const leave = store.on("pipeline:file_failed", ({ file, seq }) => {
      shown.push([file.name, file.error?.message, store.getSnapshot().pipelines["papers"]?.seq === seq]);
    });
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    await pipeline.start("a.pdf");
    await pipeline.complete("a.pdf", false, { error: "unreadable" });
    await same(store, "papers", pipeline);
    expect(shown).toEqual([["a.pdf", "unreadable", true]]);
    leave();
    await pipeline.complete("b.pdf", false);
    await same(store, "papers", pipeline);
    expect(shown.length).toBe(1);
  });

  test("an empty namespace is live without pipelines", async () => {
    const service = await Service.start();
    const store = follow({ url: service.url, namespace: "/google_drive" });
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    expect(store.getSnapshot().pipelines).toEqual({});
  });

  test("a namespace has the pipelines of its type", async () => {
    const service = await Service.start();
    await service.pipeline("drive").make("google_drive");
    await service.pipeline("disk").make("local_files");
    const store = follow({ url: service.url, namespace: "/google_drive" });
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    expect(Object.keys(store.getSnapshot().pipelines)).toEqual(["drive"]);
  });

  test("the root namespace has every pipeline, also after a reconnect", async () => {
    const service = await Service.start();
    await service.pipeline("drive").make("google_drive");
    const disk = service.pipeline("disk");
    await disk.make("local_files");
    const store = follow({ url: service.url, namespace: "/" });
    await until(() => expect(Object.keys(store.getSnapshot().pipelines).sort()).toEqual(["disk", "drive"]));
    store.reconnect();
    await disk.update({ status: "running" });
    await same(store, "disk", disk);
    expect(store.getSnapshot().recovered).toBe(true);
  });

  test.each([
    ["", "/nowhere", "/nowhere"],
    ["/pipeline", "/", "/pipeline/"],
  ])("at the address %j the namespace %j is refused, with the names of those there are", async (path, given, named) => {
    const service = await Service.start();
    const store = follow({ url: service.url + path, namespace: given as Namespace });
    await until(() => expect(store.getSnapshot().connection.status).toBe("refused"));
    const { code, message } = store.getSnapshot().connection.error!;
    expect(code).toBe("refused");
    for (const name of [`'${named}'`, "/google_drive", "/local_files", "/pipeline"]) expect(message).toContain(name);
  });

  test("a pipeline that gets its id with its first report is there once", async () => {
    const service = await Service.start();
    const store = follow({ url: service.url });
    await until(() => expect(store.getSnapshot().connection.status).toBe("live"));
    expect(Object.keys(store.getSnapshot().pipelines).length).toBe(1);
    const state = await service.pipeline("default").update({ pipeline_type: "google_drive", status: "running" });
    await same(store, state.pipeline_id!, service.pipeline("default"));
    expect(Object.keys(store.getSnapshot().pipelines)).toEqual([state.pipeline_id]);
  });

  test("reconnect() resumes", async () => {
    const service = await Service.start();
    const pipeline = service.pipeline("papers");
    await pipeline.make("local_files");
    const store = follow({ url: service.url });
    await same(store, "papers", pipeline);
    const seen = numbers(store);
    store.reconnect();
    await pipeline.start("a.pdf");
    await same(store, "papers", pipeline);
    expect(seen).toEqual([1]);
    await until(() => expect(store.getSnapshot().recovered).toBe(true));
    await until(async () => expect(await service.clients()).toBe(1));
  });

  test("a restart without a journal starts afresh, and missing pipelines are removed", async () => {
    const first = await Service.start();
    await first.pipeline("old").make("local_files");
    const store = follow({ url: first.url });
    await same(store, "old", first.pipeline("old"));
    await first.kill();
    await until(() => expect(store.getSnapshot().connection.status).toBe("reconnecting"));
    expect(Object.keys(store.getSnapshot().pipelines)).toEqual(["old"]);
    const second = await Service.start(first.port);
    const pipeline = second.pipeline("new");
    await pipeline.make("local_files");
    await pipeline.update({ status: "running" });
    await same(store, "new", pipeline);
    await until(() => expect(Object.keys(store.getSnapshot().pipelines)).toEqual(["new"]));
    expect(store.getSnapshot().recovered).toBe(false);
  });

  test("a killed and restarted service is resumed, with each event once", async () => {
    const env = { STATUS_STATE_DIR: await folder() };
    const first = await Service.start(0, env);
    await first.pipeline("papers").make("local_files");
    const store = follow({ url: first.url });
    const seen = numbers(store);
    await same(store, "papers", first.pipeline("papers"));
    for (let n = 0; n < 20; n++) await first.pipeline("papers").complete(`before-${n}`);
    await same(store, "papers", first.pipeline("papers"));
    await first.kill();
    const second = await Service.start(first.port, env);
    const pipeline = second.pipeline("papers");
    await pipeline.make("local_files");
    for (let n = 0; n < 20; n++) await pipeline.complete(`after-${n}`);
    await same(store, "papers", pipeline);
    expect(store.getSnapshot()).toMatchObject({ recovered: true, pipelines: { papers: { total_processed: 40 } } });
    expect(seen).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  });

  test("after a stop of the service the store reconnects", async () => {
    const service = await Service.start();
    const pipeline = service.pipeline("papers");
    await pipeline.make("local_files");
    const store = follow({ url: service.url });
    await same(store, "papers", pipeline);
    await service.stop();
    await until(() => expect(store.getSnapshot().connection.error).not.toBeNull());
    expect(store.getSnapshot().connection.status).toBe("reconnecting");
    await service.serve();
    await pipeline.start("a.pdf");
    await same(store, "papers", pipeline);
  });

  test("polling works the same", async () => {
    const service = await Service.start();
    const pipeline = service.pipeline("papers");
    await pipeline.make("local_files");
    const store = follow({ url: service.url, io: { transports: ["polling"] } });
    for (let n = 0; n < 50; n++) await pipeline.complete(`file-${n}`);
    await same(store, "papers", pipeline);
  });

  test("many cuts during a flood lose and repeat nothing", async () => {
    const service = await Service.start();
    const pipeline = service.pipeline("papers");
    await pipeline.make("local_files");
    const wire = await Wire.to(service.port);
    const store = follow({ url: wire.url });
    await same(store, "papers", pipeline);
    const seen = numbers(store);
    const breaks = new Set<number>();
    store.subscribe(() => {
      const { status, since } = store.getSnapshot().connection;
      if (status === "reconnecting") breaks.add(since);
    });
    const flood = pipeline.flood(300, 4);
    for (let cuts = 1; cuts <= 6; cuts++) {
      const before = seen.length;
      await until(() => expect(seen.length).toBeGreaterThan(before + 20));
      wire.cut();
      await until(() => expect(breaks.size).toBe(cuts));
    }
    await flood;
    await same(store, "papers", pipeline);
    expect(seen).toEqual(seen.map((_, n) => n + 1));
    expect(store.getSnapshot().recovered).toBe(true);
  });

  test("a flood of 500 events a second notifies once a frame, and is complete at the end", async () => {
    const service = await Service.start();
    const pipeline = service.pipeline("papers");
    await pipeline.make("local_files");
    const store = follow({ url: service.url, notify: "frame" });
    await same(store, "papers", pipeline);
    const seen = numbers(store);
    const told = vi.fn();
    store.subscribe(told);
    await pipeline.flood(500, 3);
    await same(store, "papers", pipeline);
    expect(seen.length).toBeGreaterThan(1000);
    expect(seen).toEqual(seen.map((_, n) => n + 1));
    expect(told.mock.calls.length).toBeLessThan(seen.length / 2);
  });
});
