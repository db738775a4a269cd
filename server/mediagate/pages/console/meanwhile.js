// What a page changes while a list is on its way.

/** Changes of single items since a list was asked for. Its answer may be older than they are, and must not undo them. */
export class Meanwhile {
  #idOf;
  #changes = new Map();

  constructor(idOf) {
    this.#idOf = idOf;
  }

  /** A list is asked for: what was changed before is in its answer. */
  begin() {
    this.#changes.clear();
  }

  /** An item was made or changed; `made` when the page did not show it before. */
  took(item, made) {
    const id = this.#idOf(item);
    this.#changes.set(id, { item, made: made || (this.#changes.get(id)?.made ?? false) });
  }

  /** An item is gone. */
  dropped(id) {
    this.#changes.set(id, { item: null, made: false });
  }

  /** The list as it is by now: newest first, as it came. */
  over(items) {
    const told = new Set(items.map(this.#idOf));
    const added = [...this.#changes].filter(([id, { made }]) => made && !told.has(id)).map(([, { item }]) => item).reverse();
    const current = items.map((item) => {
      const change = this.#changes.get(this.#idOf(item));
      return change ? change.item : item;
    });
    return [...added, ...current.filter((item) => item !== null)];
  }
}
