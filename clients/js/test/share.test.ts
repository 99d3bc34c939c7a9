import fc from "fast-check";
import { expect, test } from "vitest";
import { share } from "../src/share.js";

const clone = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("the result always equals the fresh value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (known, fresh) => {
      expect(clone(share(known, fresh))).toEqual(clone(fresh));
    }),
  );
});

test("an equal value is replaced by the known one", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const known = clone(value);
      expect(share(known, clone(value))).toBe(known);
    }),
  );
});

test("equal parts are shared, and the known value is not changed", () => {
  const known = { files: [{ name: "a" }, { name: "b" }], other: [1, 2], gone: true };
  const before = clone(known);
  const shared = share(known, { files: [{ name: "a" }, { name: "c" }], other: [1, 2] });
  expect(shared.files[0]).toBe(known.files[0]);
  expect(shared.other).toBe(known.other);
  expect(shared).toEqual({ files: [{ name: "a" }, { name: "c" }], other: [1, 2] });
  expect(known).toEqual(before);
});

test("a member named __proto__ is an ordinary member", () => {
  const fresh = JSON.parse('{"__proto__": {"polluted": true}, "a": 1}') as object;
  const shared = share({ a: 1 }, fresh);
  expect(Object.keys(shared)).toEqual(["__proto__", "a"]);
  expect(Object.getPrototypeOf(shared)).toBe(Object.prototype);
});
