/**
 * Return `fresh`, with every part that equals its counterpart in `known` replaced by that one.
 *
 * Both are JSON. So who compares by identity sees only what has changed, although a status brings everything anew.
 */
export function share<T>(known: unknown, fresh: T): T {
  if (Object.is(known, fresh)) return fresh;
  if (Array.isArray(fresh)) {
    if (!Array.isArray(known)) return fresh;
    const items = fresh.map((item: unknown, place) => share(known[place], item));
    return (sameItems(known, items) ? known : items) as T;
  }
  if (!isObject(known) || !isObject(fresh) || Array.isArray(known)) return fresh;
  const keys = Object.keys(fresh);
  // Not built by assignment, which would take a member named __proto__ for the prototype.
  const members = Object.fromEntries(keys.map((key) => [key, share(own(known, key), fresh[key])]));
  const same = keys.every((key) => Object.hasOwn(known, key) && known[key] === members[key]);
  return (same && keys.length === Object.keys(known).length ? known : members) as T;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function sameItems(known: readonly unknown[], items: readonly unknown[]): boolean {
  return known.length === items.length && items.every((item, place) => item === known[place]);
}
