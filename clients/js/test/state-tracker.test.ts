import { describe, expect, test } from "vitest";
import { NO_RESUME_OFFSET, StateTracker } from "../src/state-tracker.js";
import type { NamedEvent, Namespace, StatusEvent } from "../src/types.js";
import { offset, started, status } from "./events.js";

function pictures(namespace: Namespace = "/pipeline", ...events: NamedEvent[]): StateTracker {
  const made = new StateTracker(namespace);
  made.begin();
  events.forEach((event) => made.take(event));
  return made;
}

/** Return a live tracker with pipelines of these ids. */
function live(...ids: string[]): StateTracker {
  const round = ids.map((id, n) => of(id, { offset: n === ids.length - 1 ? offset(1) : NO_RESUME_OFFSET }));
  return pictures("/pipeline", ...round);
}

function of(pipeline_id: string | null, more: Partial<StatusEvent> = {}): NamedEvent {
  return status({ pipeline_id, epoch: `epoch-${pipeline_id}`, ...more });
}

const ids = (known: StateTracker): string[] => Object.keys(known.pipelines);

describe("a new client", () => {
  test("is live once the round is complete, and can resume from then on", () => {
    const known = pictures("/pipeline", of("a", { offset: NO_RESUME_OFFSET }));
    expect([known.live, known.inRound, known.offset]).toEqual([false, true, null]);
    known.take(of("b", { offset: offset(7) }));
    expect([known.live, known.inRound, known.offset]).toEqual([true, false, offset(7)]);
    expect([ids(known), known.recovered]).toEqual([["a", "b"], null]);
  });

  test("applies events of known pipelines while other statuses are missing", () => {
    const known = pictures("/pipeline", status({ offset: NO_RESUME_OFFSET }), started(2, { offset: NO_RESUME_OFFSET }));
    expect(known.pipelines["a"]?.files_in_flight).toBe(1);
    expect(known.live).toBe(false);
  });

  test("is live when the round ends", () => {
    const known = pictures("/google_drive", of("a", { offset: NO_RESUME_OFFSET, pipeline_type: "google_drive" }));
    known.endRound();
    expect([known.live, ids(known), known.offset]).toEqual([true, ["a"], null]);
  });

  test("has no pipeline in an empty namespace", () => {
    const known = pictures();
    expect(known.take(of(null, { epoch: null, seq: 0 }))).toBe("known");
    expect([known.live, ids(known)]).toEqual([true, []]);
  });
});

describe("after a break", () => {
  test("missed events are applied, and the status with recovered makes it live", () => {
    const known = live("a");
    known.begin();
    known.take(started(2, { epoch: "epoch-a" }));
    expect([known.live, known.recovered]).toEqual([false, null]);
    known.take(of("a", { seq: 2, recovered: true, offset: offset(9) }));
    expect([known.live, known.recovered, known.offset]).toEqual([true, true, offset(9)]);
  });

  test("without recovery everything is sent again, and missing pipelines are removed", () => {
    const known = live("a", "b", "c");
    known.begin();
    known.take(of("b", { recovered: false, offset: NO_RESUME_OFFSET }));
    expect([known.live, known.recovered, known.offset, ids(known)]).toEqual([false, false, null, ["a", "b", "c"]]);
    known.take(of("d", { recovered: false, offset: offset(2) }));
    expect([known.live, known.offset, ids(known)]).toEqual([true, offset(2), ["b", "d"]]);
  });

  test("a failed recovery can show halfway", () => {
    const known = live("a");
    known.begin();
    known.take(started(2, { epoch: "epoch-a" }));
    known.take(of("a", { epoch: "another", seq: 1, recovered: false, offset: offset(5) }));
    expect([known.live, known.recovered, known.pipelines["a"]?.seq]).toEqual([true, false, 1]);
  });

  test("after a recovery unreported pipelines are removed at the end of the round", () => {
    const known = live("a", "b");
    known.begin();
    known.take(of("b", { recovered: true, offset: offset(3) }));
    expect([known.live, known.inRound, ids(known)]).toEqual([true, true, ["a", "b"]]);
    known.endRound();
    expect(ids(known)).toEqual(["b"]);
  });

  test("recovered in a later status is ignored", () => {
    const known = live("a", "b");
    known.take(of("a", { status: "stalled", recovered: false, offset: offset(3) }));
    expect([known.live, known.inRound, ids(known), known.offset]).toEqual([true, false, ["a", "b"], offset(3)]);
  });
});

describe("events", () => {
  test("that are repeated are ignored", () => {
    const known = pictures("/pipeline", status(), started(2));
    const { pipelines } = known;
    expect(known.take(started(2))).toBe("known");
    expect(known.pipelines).toBe(pipelines);
  });

  test.each([
    ["after a gap", started(4)],
    ["of another epoch", started(3, { epoch: "another" })],
    ["of a pipeline that is not known", started(2, { pipeline_id: "b" })],
  ])("%s are withheld until a status says everything", (_, event) => {
    const known = pictures("/pipeline", status(), started(2));
    const before = known.pipelines;
    expect(known.take(event)).toBe("withheld");
    expect([known.withholding, known.pipelines]).toEqual([true, before]);
    const { pipeline_id, epoch, seq } = event[1];
    known.take(status({ pipeline_id, epoch, seq }));
    expect([known.withholding, known.pipelines[String(pipeline_id)]?.seq]).toEqual([false, seq]);
  });

  test("that follow a withheld one are withheld, too", () => {
    const known = pictures("/pipeline", status(), started(4));
    expect(known.take(started(5))).toBe("withheld");
    expect(known.pipelines["a"]?.seq).toBe(1);
  });

  test("that were withheld at a break prevent resuming", () => {
    const known = pictures("/pipeline", status(), started(2));
    known.interrupt();
    expect(known.offset).toBe(offset(2));
    known.take(started(4));
    known.interrupt();
    expect(known.offset).toBeNull();
  });

  test("that were withheld are forgotten with their connection", () => {
    const known = pictures("/pipeline", status(), started(2, { pipeline_id: "gone" }));
    known.interrupt();
    known.begin();
    known.take(status());
    expect([known.live, known.withholding]).toEqual([true, false]);
  });

  test("a status with a gap replaces everything", () => {
    const known = pictures("/pipeline", status(), status({ seq: 40, gap: true, total_processed: 12 }));
    expect(known.take(started(41))).toBe("applied");
    expect(known.pipelines["a"]).toMatchObject({ seq: 41, total_processed: 12 });
    expect(known.pipelines["a"]).not.toHaveProperty("gap");
  });

  test("of one pipeline don't change the others", () => {
    const known = live("a", "b");
    const before = known.pipelines;
    known.take(started(2, { epoch: "epoch-a" }));
    expect(known.pipelines).not.toBe(before);
    expect(known.pipelines["b"]).toBe(before["b"]);
  });
});

describe("identity", () => {
  test("a pipeline whose id changes with its first report replaces its placeholder", () => {
    const known = live("provisional", "other");
    known.take(of("provisional", { seq: 0, offset: offset(2) }));
    known.take(of("settled", { seq: 1, epoch: "epoch-provisional", offset: offset(3) }));
    expect(ids(known)).toEqual(["other", "settled"]);
  });

  test("a pipeline that continues the epoch of a journal replaces its placeholder", () => {
    const known = pictures("/pipeline", status({ pipeline_id: "host", pipeline_type: null, seq: 0 }));
    known.take(of("google_drive-host", { seq: 90, epoch: "of the journal", offset: offset(3) }));
    expect(ids(known)).toEqual(["google_drive-host"]);
  });

  test("within a round nothing is replaced", () => {
    const known = pictures("/pipeline", of("a", { seq: 0, pipeline_type: null, offset: NO_RESUME_OFFSET }), of("b"));
    expect(ids(known)).toEqual(["a", "b"]);
  });

  test("a pipeline that changes its type leaves the namespace of the old one", () => {
    const known = pictures("/local_files", status(), status({ seq: 2, pipeline_type: "google_drive" }));
    expect(ids(known)).toEqual([]);
  });
});
