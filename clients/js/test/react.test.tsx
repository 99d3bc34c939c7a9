// @vitest-environment jsdom
import { act, cleanup, render, screen, waitFor } from "@testing-library/react";
import { StrictMode } from "react";
import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { NodeWebSocket } from "socket.io-client";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import type { PipelineStore, PipelineStoreOptions, Snapshot } from "../src/index.js";
import { usePipelineStatus } from "../src/react.js";
import { statusEvent } from "./events.js";
import { Scripted } from "./scripted.js";
import { follow, Service } from "./service.js";

const DEADLINE = { timeout: 20_000 };
afterEach(cleanup);

function Status({ source }: { source: PipelineStore | PipelineStoreOptions }) {
  const { connection, pipelines } = usePipelineStatus(source);
  const shown = Object.entries(pipelines).map(([id, state]) => `${id}: ${state.status}, ${state.total_processed} done`);
  return <p role="status">{[connection.status, ...shown].join("; ")}</p>;
}

async function shows(text: string): Promise<void> {
  await waitFor(() => expect(screen.getByRole("status").textContent).toBe(text), DEADLINE);
}

test("a component follows a running service, and leaves nothing behind when it unmounts", async () => {
  const service = await Service.start();
  const pipeline = service.pipeline("papers");
  await pipeline.make("local_files");
  await pipeline.update({ status: "running" });
  const { unmount } = render(<Status source={{ url: service.url }} />);
  await shows("live; papers: running, 0 done");
  await pipeline.complete("a.pdf");
  await shows("live; papers: running, 1 done");
  unmount();
  await waitFor(async () => expect(await service.clients()).toBe(0), DEADLINE);
});

test("StrictMode, which mounts everything twice, connects once", async () => {
  const server = await Scripted.start();
  let opened = 0;
  class Counted extends NodeWebSocket {
    override doOpen(): this {
      opened += 1;
      return super.doOpen() as this;
    }
  }
  render(<Status source={{ url: server.url, io: { transports: [Counted] } }} />, { wrapper: StrictMode });
  await shows("live; a: running, 0 done");
  expect(opened).toBe(1);
});

test("inline options with a token callback keep one connection over renders", async () => {
  const server = await Scripted.start();
  let latest = "";
  const Inline = ({ token }: { token: string }) => (
    <Status source={{ url: server.url, token: () => (latest = token), io: { reconnectionDelay: 50 } }} />
  );
  const { rerender } = render(<Inline token="first" />);
  await shows("live; a: running, 0 done");
  rerender(<Inline token="second" />);
  expect(server.auths).toEqual([{ token: "first" }]);
  server.dismiss();
  await waitFor(() => expect(server.auths.length).toBe(2), DEADLINE);
  expect(latest).toBe("second");
});

test("a new token or server opens a new connection", async () => {
  const [server, other] = [await Scripted.start(), await Scripted.start()];
  other.greet = (socket) => socket.emit("pipeline:status", statusEvent({ pipeline_id: "b" }));
  const { rerender } = render(<Status source={{ url: server.url, token: "one" }} />);
  await shows("live; a: running, 0 done");
  rerender(<Status source={{ url: server.url, token: "two" }} />);
  await waitFor(() => expect(server.auths).toEqual([{ token: "one" }, { token: "two" }]), DEADLINE);
  rerender(<Status source={{ url: other.url }} />);
  await shows("live; b: running, 0 done");
  await waitFor(() => expect(server.clients).toBe(0), DEADLINE);
});

test("components share the connection of a store, which outlives them", async () => {
  const server = await Scripted.start();
  const store = follow({ url: server.url });
  const { unmount } = render(
    <>
      <Status source={store} />
      <div>{<Status source={store} />}</div>
    </>,
  );
  await waitFor(
    () =>
      expect(screen.getAllByRole("status").map((one) => one.textContent)).toEqual(
        Array(2).fill("live; a: running, 0 done"),
      ),
    DEADLINE,
  );
  unmount();
  expect(store.getSnapshot().connection.status).toBe("live");
  expect(server.auths.length).toBe(1);
});

test("a component with a selector renders only when the selected value changes", async () => {
  const server = await Scripted.start();
  const store = follow({ url: server.url });
  const rendered = vi.fn();
  function Files({ of }: { of: string }) {
    const names = usePipelineStatus(
      store,
      (snapshot: Snapshot) => (snapshot.pipelines[of]?.files_failed ?? []).map((file) => file.name),
      (one, other) => one.join() === other.join(),
    );
    rendered(names);
    return <p role="status">{names.join(", ") || "none"}</p>;
  }
  const { rerender } = render(<Files of="a" />);
  await waitFor(() => expect(store.getSnapshot().connection.status).toBe("live"), DEADLINE);
  const before = rendered.mock.calls.length;
  act(() => [2, 3, 4].forEach((seq) => server.file(seq)));
  await waitFor(() => expect(store.getSnapshot().pipelines["a"]?.seq).toBe(4), DEADLINE);
  expect(rendered.mock.calls.length).toBe(before);
  const failed = [{ name: "bad.pdf" }];
  server.emit("pipeline:status", statusEvent({ seq: 5, files_failed: failed as never }));
  await shows("bad.pdf");
  // A render with a new selector function: equal values stay the same object.
  rerender(<Files of="a" />);
  const [one, other] = rendered.mock.calls.slice(-2);
  expect(other?.[0]).toBe(one?.[0]);
});

test("server rendering opens no connection, and hydration works", async () => {
  const server = await Scripted.start();
  const page = <Status source={{ url: server.url }} />;
  const html = renderToString(page);
  expect(html).toContain("connecting");
  expect(server.clients).toBe(0);
  const container = document.body.appendChild(document.createElement("div"));
  container.innerHTML = html;
  const complaint = vi.spyOn(console, "error");
  onTestFinished(() => complaint.mockRestore());
  const root = await act(async () => hydrateRoot(container, page));
  await shows("live; a: running, 0 done");
  expect(complaint).not.toHaveBeenCalled();
  act(() => root.unmount());
  container.remove();
});
