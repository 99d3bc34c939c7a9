import { describe, expect, test } from "vitest";
import { NOWHERE, Pictures } from "../src/pictures.js";
import type { NamedEvent, Namespace, StatusEvent } from "../src/types.js";
import { offset, started, status } from "./events.js";

function pictures(namespace: Namespace = "/pipeline", ...events: NamedEvent[]): Pictures {
  const made = new Pictures(namespace);
  made.begin();
  events.forEach((event) => made.take(event));
  return made;
}

/** Return a picture of pipelines with these ids, all of them live. */
function live(...ids: string[]): Pictures {
  const round = ids.map((id, n) => of(id, { offset: n === ids.length - 1 ? offset(1) : NOWHERE }));
  return pictures("/pipeline", ...round);
}

function of(pipeline_id: string | null, more: Partial<StatusEvent> = {}): NamedEvent {
  return status({ pipeline_id, epoch: `epoch-${pipeline_id}`, ...more });
}

const ids = (known: Pictures): string[] => Object.keys(known.pipelines);

describe("a newcomer", () => {
  test("is live once the whole round has come, and can be resumed from there on", () => {
    const known = pictures("/pipeline", of("a", { offset: NOWHERE }));
    expect([known.live, known.inRound, known.offset]).toEqual([false, true, null]);
    known.take(of("b", { offset: offset(7) }));
    expect([known.live, known.inRound, known.offset]).toEqual([true, false, offset(7)]);
    expect([ids(known), known.recovered]).toEqual([["a", "b"], null]);
  });

  test("sees events of the pipelines that it has already, while the others are on their way", () => {
    const known = pictures("/pipeline", status({ offset: NOWHERE }), started(2, { offset: NOWHERE }));
    expect(known.pipelines["a"]?.files_in_flight).toBe(1);
    expect(known.live).toBe(false);
  });

  test("is live when the round is said to be over", () => {
    const known = pictures("/google_drive", of("a", { offset: NOWHERE, pipeline_type: "google_drive" }));
    known.endRound();
    expect([known.live, ids(known), known.offset]).toEqual([true, ["a"], null]);
  });

  test("sees no pipeline where there is none", () => {
    const known = pictures();
    expect(known.take(of(null, { epoch: null, seq: 0 }))).toBe("known");
    expect([known.live, ids(known)]).toEqual([true, []]);
  });
});

describe("after a break", () => {
  test("what was missed is applied, and live is what comes after the status that says so", () => {
    const known = live("a");
    known.begin();
    known.take(started(2, { epoch: "epoch-a" }));
    expect([known.live, known.recovered]).toEqual([false, null]);
    known.take(of("a", { seq: 2, recovered: true, offset: offset(9) }));
    expect([known.live, known.recovered, known.offset]).toEqual([true, true, offset(9)]);
  });

  test("a server that does not reach back sends everything, and what it does not send is gone", () => {
    const known = live("a", "b", "c");
    known.begin();
    known.take(of("b", { recovered: false, offset: NOWHERE }));
    expect([known.live, known.recovered, known.offset, ids(known)]).toEqual([false, false, null, ["a", "b", "c"]]);
    known.take(of("d", { recovered: false, offset: offset(2) }));
    expect([known.live, known.offset, ids(known)]).toEqual([true, offset(2), ["b", "d"]]);
  });

  test("it can turn out halfway that the server does not reach back", () => {
    const known = live("a");
    known.begin();
    known.take(started(2, { epoch: "epoch-a" }));
    known.take(of("a", { epoch: "another", seq: 1, recovered: false, offset: offset(5) }));
    expect([known.live, known.recovered, known.pipelines["a"]?.seq]).toEqual([true, false, 1]);
  });

  test("one that went on drops the pipelines of which nothing is said, once the round is over", () => {
    const known = live("a", "b");
    known.begin();
    known.take(of("b", { recovered: true, offset: offset(3) }));
    expect([known.live, known.inRound, ids(known)]).toEqual([true, true, ["a", "b"]]);
    known.endRound();
    expect(ids(known)).toEqual(["b"]);
  });

  test("recovered in a later status means nothing", () => {
    const known = live("a", "b");
    known.take(of("a", { status: "stalled", recovered: false, offset: offset(3) }));
    expect([known.live, known.inRound, ids(known), known.offset]).toEqual([true, false, ["a", "b"], offset(3)]);
  });
});

describe("events", () => {
  test("that are known are passed over", () => {
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

  test("that follow one that was withheld are withheld, too", () => {
    const known = pictures("/pipeline", status(), started(4));
    expect(known.take(started(5))).toBe("withheld");
    expect(known.pipelines["a"]?.seq).toBe(1);
  });

  test("that were withheld when the connection broke can't be gone on from", () => {
    const known = pictures("/pipeline", status(), started(2));
    known.interrupt();
    expect(known.offset).toBe(offset(2));
    known.take(started(4));
    known.interrupt();
    expect(known.offset).toBeNull();
  });

  test("that were withheld are forgotten with the connection they came on", () => {
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

  test("of one pipeline leave the others as they are", () => {
    const known = live("a", "b");
    const before = known.pipelines;
    known.take(started(2, { epoch: "epoch-a" }));
    expect(known.pipelines).not.toBe(before);
    expect(known.pipelines["b"]).toBe(before["b"]);
  });
});

describe("identity", () => {
  test("a pipeline whose id changes with its first report takes the place of the one it was", () => {
    const known = live("provisional", "other");
    known.take(of("provisional", { seq: 0, offset: offset(2) }));
    known.take(of("settled", { seq: 1, epoch: "epoch-provisional", offset: offset(3) }));
    expect(ids(known)).toEqual(["other", "settled"]);
  });

  test("so does one that goes on with the epoch of a journal", () => {
    const known = pictures("/pipeline", status({ pipeline_id: "host", pipeline_type: null, seq: 0 }));
    known.take(of("google_drive-host", { seq: 90, epoch: "of the journal", offset: offset(3) }));
    expect(ids(known)).toEqual(["google_drive-host"]);
  });

  test("in a round nothing takes the place of another", () => {
    const known = pictures("/pipeline", of("a", { seq: 0, pipeline_type: null, offset: NOWHERE }), of("b"));
    expect(ids(known)).toEqual(["a", "b"]);
  });

  test("a pipeline that changes its type leaves the namespace of the old one", () => {
    const known = pictures("/local_files", status(), status({ seq: 2, pipeline_type: "google_drive" }));
    expect(ids(known)).toEqual([]);
  });
});
