/**
 * A list of DOM nodes kept in sync with a list of records: nodes are reused by key, and only changes are applied.
 *
 * `create(item)` returns a row: `{node, update(item)}`, optionally with `tick(now)`. A row whose `held` is true stays
 * when its record is gone, so that nothing disappears while someone reads it.
 */
export class KeyedList {
  #rows = new Map();

  constructor(parent, create) {
    this.parent = parent;
    this.create = create;
  }

  update(items, keyOf) {
    const wanted = new Map();
    for (const item of items) {
      let key = keyOf(item);
      while (wanted.has(key)) key += "+";
      wanted.set(key, item);
    }
    for (const [key, row] of this.#rows) {
      if (wanted.has(key) || row.held) continue;
      row.node.remove();
      this.#rows.delete(key);
    }
    let next = this.parent.firstChild;
    for (const [key, item] of wanted) {
      const row = this.#row(key, item);
      if (row.node === next) next = next.nextSibling;
      else this.parent.insertBefore(row.node, next);
    }
  }

  tick(now) {
    for (const row of this.#rows.values()) row.tick?.(now);
  }

  #row(key, item) {
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = this.create(item);
      this.#rows.set(key, row);
    }
    // A changed record is a new object, never changed in place.
    if (row.item !== item) {
      row.item = item;
      row.update(item);
    }
    return row;
  }
}

/** Return the key of a file within its pipeline: its id, or its name if it has no id. */
export function fileKey(file) {
  return file.id === null ? `name ${file.name}` : `id ${file.id}`;
}
