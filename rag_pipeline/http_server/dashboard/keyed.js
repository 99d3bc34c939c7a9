/**
 * A list in the page that follows a list of records: nodes are kept by key, and only what changed is touched.
 *
 * `create(item)` returns a row: `{node, update(item)}`, perhaps with `tick(now)`. A row whose `held` is true stays when
 * its record goes, so that nothing vanishes under the eyes of who reads it.
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
    let place = this.parent.firstChild;
    for (const [key, item] of wanted) {
      const row = this.#row(key, item);
      if (row.node === place) place = place.nextSibling;
      else this.parent.insertBefore(row.node, place);
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
    // Records are replaced when they change, never changed in place.
    if (row.item !== item) {
      row.item = item;
      row.update(item);
    }
    return row;
  }
}

/** Return what tells files of one pipeline apart: the id, or the name where there is none. */
export function fileKey(file) {
  return file.id === null ? `name ${file.name}` : `id ${file.id}`;
}
