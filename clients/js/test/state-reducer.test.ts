import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { apply, MAX_PROCESSING } from "../src/state-reducer.js";
import type { NamedEvent, State } from "../src/types.js";
import { file, fileEvent, status, started } from "./events.js";
import { Program } from "./program.js";

const program = new Program("tests.clients.state_histories");
afterAll(() => program.kill());

type Told = [...NamedEvent, State | null];

// -- the same as the service's own picture -------------------------------------------------------------------------------

const name = fc.constantFrom("a", "b", "c");
const id = fc.constantFrom(null, "1", "2");
const json = fc.jsonValue({ maxDepth: 2 });
const call = fc.oneof(
  fc.tuple(fc.constant("add_processing_file"), fc.tuple(name, id), fc.constant({})),
  fc.tuple(
    fc.constant("file_progress"),
    fc.tuple(name, fc.constant("stage"), fc.double({ min: 0, max: 1, noNaN: true })),
    fc.record({ file_id: id }),
  ),
  fc.tuple(fc.constant("complete_file"), fc.tuple(name, fc.boolean()), fc.record({ file_id: id, result: json })),
  fc.tuple(
    fc.constant("complete_file"),
    fc.tuple(name),
    fc.record({ file_id: id, warnings: fc.constantFrom([], ["odd"]), quality: fc.constant({ pages: 3 }) }),
  ),
  fc.tuple(fc.constant("skip_file"), fc.tuple(name, fc.constant("why")), fc.record({ file_id: id })),
  fc.tuple(fc.constant("delete_file"), fc.tuple(name), fc.record({ file_id: id })),
  fc.tuple(
    fc.constant("update"),
    fc.constant([]),
    fc.record({ own: json, status: fc.constantFrom("running", "idle") }),
  ),
);

async function historyOf(calls: unknown[]): Promise<Told[]> {
  return program.ask<Told[]>(calls);
}

describe("the state equals Python's after each event", () => {
  test("with every event", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 40 }), async (calls) => {
        let state: State | null = null;
        for (const [event, payload, expected] of await historyOf(calls)) {
          state = apply(state, ...([event, payload] as NamedEvent));
          expect(state).toEqual(expected);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("from file events alone, without a status", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 40 }), async (calls) => {
        const history = await historyOf(calls);
        let state: State | null = null;
        for (const [event, payload] of history) {
          const sumsUp = event === "pipeline:status" && payload.seq === state?.seq;
          if (!sumsUp) state = apply(state, ...([event, payload] as NamedEvent));
        }
        // Derived fields, which no file event carries.
        const derived = { files_per_minute: 0, eta_seconds: 0, status: "" };
        const shown = (one: State | null): object => ({ ...one, ...derived });
        expect(shown(state)).toEqual(shown(history.at(-1)?.[2] ?? null));
      }),
      { numRuns: 150 },
    );
  });

  test("with more files than the lists hold", async () => {
    const names = Array.from({ length: 150 }, (_, n) => `file-${n}`);
    const start = names.map((one) => ["add_processing_file", [one], {}]);
    const failed = names.slice(0, 9).map((one) => ["complete_file", [one, false], {}]);
    const skipped = names.slice(70, 79).map((one) => ["skip_file", [one, "why"], {}]);
    const completed = names.slice(130).map((one) => ["complete_file", [one], {}]);
    let state: State | null = null;
    for (const [event, payload, expected] of await historyOf([...start, ...failed, ...skipped, ...completed])) {
      state = apply(state, ...([event, payload] as NamedEvent));
      expect(state).toEqual(expected);
    }
    expect(state?.files_in_flight).toBe(112);
    expect(state?.files_processing.length).toBeLessThanOrEqual(MAX_PROCESSING);
  });
});

// -- sharing -------------------------------------------------------------------------------------------------------------

function stateOf(...events: NamedEvent[]): State {
  const state = events.reduce<State | null>((known, event) => apply(known, ...event), null);
  if (state === null) throw new Error("there was no status");
  return state;
}

test("there is no state before the first status", () => {
  expect(apply(null, ...started(1))).toBeNull();
});

test("an event that the state already includes changes nothing", () => {
  const state = stateOf(status(), started(2));
  expect(apply(state, ...started(2))).toBe(state);
});

test("an equal status returns the known state", () => {
  const state = stateOf(status(), started(2));
  const { seq, last_activity } = state;
  const again = status({ seq, last_activity, files_in_flight: 1, files_processing: [file("file-2")] });
  expect(apply(state, ...again)).toBe(state);
});

test("an event changes the lists it affects, and the others stay the same objects", () => {
  const before = stateOf(status({ files_failed: [file("bad")] }), started(2), started(3));
  const after = apply(before, "pipeline:file_progress", fileEvent(4, { file: file("file-2", { progress: 0.5 }) }));
  expect(after?.files_processing[0]?.progress).toBe(0.5);
  expect(after?.files_processing[1]).toBe(before.files_processing[1]);
  expect(after?.files_failed).toBe(before.files_failed);
  expect(before.files_processing[0]?.progress).toBeNull();
});
