import { el, setAttribute, setText } from "./dom.js";
import { toneOf, words } from "./format.js";

/** A status as a word after a shape, so that it does not depend on colour alone. */
export class Badge {
  constructor() {
    this.word = el("span");
    const glyph = el("span", "glyph");
    glyph.setAttribute("aria-hidden", "true");
    this.node = el("span", "badge", glyph, this.word);
  }

  show(status) {
    setText(this.word, words(status));
    setAttribute(this.node, "data-tone", toneOf(status));
  }
}
