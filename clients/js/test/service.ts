/** The real service, with pipelines that the tests control. */
import { expect, onTestFinished, vi } from "vitest";
import { createPipelineStore, type PipelineStore, type PipelineStoreOptions, type State } from "../src/index.js";
import { Program, type Env } from "./program.js";

type Call = (...args: [...unknown[]]) => Promise<State>;

/** A pipeline of the service: a method of PipelineStatus by its name, keywords last as an object. */
export interface Pipeline {
  readonly make: Call;
  readonly get: Call;
  readonly flood: Call;
  readonly update: (fields: object) => Promise<State>;
  readonly start: (name: string, id?: string | null, fields?: object) => Promise<State>;
  readonly progress: (name: string, stage: string, progress?: number | null) => Promise<State>;
  readonly complete: (name: string, success?: boolean, fields?: object) => Promise<State>;
  readonly close: Call;
}

export class Service {
  readonly #program: Program;
  port = 0;
  httpPort = 0;

  private constructor(env: Env) {
    this.#program = new Program("tests.clients.driven_service", env);
  }

  /** Start a service on any port, or the given one; it ends with the test. */
  static async start(port = 0, env: Env = {}): Promise<Service> {
    const service = new Service(env);
    onTestFinished(() => service.kill());
    await service.serve(port);
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async serve(port = this.port): Promise<void> {
    type Ports = { port: number; http_port: number };
    const ports = await this.#program.ask<Ports>(["service", "start", [port, null], {}]);
    [this.port, this.httpPort] = [ports.port, ports.http_port];
  }

  async stop(): Promise<void> {
    await this.#program.ask(["service", "stop", [], {}]);
  }

  async kill(): Promise<void> {
    await this.#program.kill();
  }

  pipeline(id: string): Pipeline {
    const call = (name: string, args: unknown[] = [], keywords: object = {}): Promise<State> =>
      this.#program.ask<State>([id, name, args, keywords]);
    return {
      make: (...args) => call("make", args),
      get: () => call("get"),
      flood: (...args) => call("flood", args),
      update: (fields) => call("update", [], fields),
      start: (name, fileId = null, fields = {}) => call("add_processing_file", [name, fileId], fields),
      progress: (name, stage, progress = null) => call("file_progress", [name, stage, progress]),
      complete: (name, success = true, fields = {}) => call("complete_file", [name, success], fields),
      close: () => call("close"),
    };
  }

  /** Return how many clients are connected, as the service counts them. */
  async clients(): Promise<number> {
    const response = await fetch(`${this.url}/health`);
    const { clients } = (await response.json()) as { clients: { total: number } };
    return clients.total;
  }
}

/** Return a store that notifies immediately, reconnects soon, and is closed with the test. */
export function follow(options: PipelineStoreOptions): PipelineStore {
  const store = createPipelineStore({
    notify: "immediate",
    ...options,
    io: { reconnectionDelay: 50, reconnectionDelayMax: 100, ...options.io },
  });
  onTestFinished(() => store.close());
  return store;
}

/** Wait until the condition holds. */
export async function until(condition: () => void | Promise<void>): Promise<void> {
  await vi.waitFor(condition, { timeout: 20_000 });
}

/** Wait until the store has the pipeline's current state. */
export async function same(store: PipelineStore, id: string, pipeline: Pipeline): Promise<void> {
  const state = await pipeline.get();
  await until(() => {
    expect(store.getSnapshot().connection.status).toBe("live");
    expect(lasting(store.getSnapshot().pipelines[id])).toEqual(lasting(state));
  });
}

/** Collect the sequence numbers of all events that start or complete a file. */
export function numbers(store: PipelineStore): number[] {
  const seen: number[] = [];
  for (const name of ["pipeline:file_processing_started", "pipeline:file_completed"] as const) {
    store.on(name, (event) => seen.push(event.seq));
  }
  return seen;
}

/** Collect the codes of all connection errors; some are too short-lived for polling to see. */
export function errors(store: PipelineStore): string[] {
  const seen: string[] = [];
  store.subscribe(() => {
    const code = store.getSnapshot().connection.error?.code;
    if (code !== undefined && seen.at(-1) !== code) seen.push(code);
  });
  return seen;
}

/** Fields that depend on the current time. */
const DERIVED = new Set(["files_per_minute", "eta_seconds", "seconds_until_next_check"]);

/** Return the state without the fields that depend on the current time. */
function lasting(state: State | undefined): object {
  return Object.fromEntries(Object.entries(state ?? {}).filter(([key]) => !DERIVED.has(key)));
}
