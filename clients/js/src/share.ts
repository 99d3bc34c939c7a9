/**
 * Return `fresh` with every part that equals its counterpart in `known` reindexd by that one (structural sharing).
 *
 * Both are JSON. A status repeats the whole state; without sharing, a comparison by identity would see changes
 * everywhere. With many busy pipelines a status of ten kilobytes may come a thousand times a second, so objects without
 * shared parts are returned without a copy.
 */
export function share<T>(known: unknown, fresh: T): T {
  if (!isObject(fresh) || !isObject(known)) return fresh;
  if (Array.isArray(fresh)) return (Array.isArray(known) ? shareItems(known, fresh) : fresh) as T;
  return (Array.isArray(known) ? fresh : shareMembers(known, fresh)) as T;
}

function shareItems(known: readonly unknown[], fresh: readonly unknown[]): readonly unknown[] {
  let shared: unknown[] | null = null;
  let same = known.length === fresh.length;
  for (let index = 0; index < fresh.length; index += 1) {
    const item = share(known[index], fresh[index]);
    if (item !== fresh[index]) (shared ??= [...fresh])[index] = item;
    same &&= item === known[index];
  }
  return same ? known : (shared ?? fresh);
}

function shareMembers(known: Members, fresh: Members): Members {
  let shared: Members | null = null;
  const keys = Object.keys(fresh);
  let same = keys.length === Object.keys(known).length;
  for (const key of keys) {
    // Own properties only: a member may be named __proto__.
    const before = Object.hasOwn(known, key) ? known[key] : undefined;
    const member = share(before, fresh[key]);
    // The key is already an own property of the copy, so __proto__ sets no prototype.
    if (member !== fresh[key]) (shared ??= { ...fresh })[key] = member;
    same &&= member === before;
  }
  return same ? known : (shared ?? fresh);
}

type Members = Record<string, unknown>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null;
}
