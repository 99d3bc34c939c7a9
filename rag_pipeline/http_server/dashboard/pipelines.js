import { setHidden } from "./dom.js";
import { KeyedList } from "./keyed.js";
import { PipelineCard } from "./pipeline.js";

/** So many pipelines are shown with all there is of them; of more, each is a row that opens. */
export const FEW = 5;
/** Twice a second is soon enough for what nobody reads line by line. */
const ROUND_MS = 500;
const SLICE_MS = 8;
/** Cards this near to the screen are kept as if they were on it, so that nobody scrolls to old figures. */
const NEAR = "200px";

/** The cards of all pipelines, in the order of their ids. */
export class PipelineList {
  #order = new Intl.Collator().compare;
  #cards = new WeakMap();
  #waiting = new Set();
  #timer = null;
  #many = false;

  /** For `now`, `live` and `control` see {@link PipelineCard}. */
  constructor(parent, surroundings) {
    this.parent = parent;
    this.surroundings = { ...surroundings, later: (card) => this.#wait(card) };
    this.list = new KeyedList(parent, (state) => this.#create(state.pipeline_id));
    this.skip = document.getElementById("skip-pipelines");
    this.observer = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: NEAR });
  }

  update(states) {
    const many = states.length > FEW;
    if (many !== this.#many) this.#beMany(many);
    this.list.update(states.toSorted(this.#byId), (state) => state.pipeline_id);
  }

  tick(now) {
    this.list.tick(now);
  }

  #byId = (one, other) => this.#order(one.pipeline_id, other.pipeline_id);

  #create(pipelineId) {
    const card = new PipelineCard(this.surroundings, pipelineId);
    card.beAmong(this.#many);
    this.#cards.set(card.node, card);
    this.observer.observe(card.node);
    return card;
  }

  #beMany(many) {
    this.#many = many;
    this.parent.classList.toggle("many", many);
    setHidden(this.skip, !many);
    for (const node of this.parent.children) this.#cards.get(node).beAmong(many);
  }

  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      if (target.isConnected) this.#cards.get(target).beInSight(isIntersecting);
      else this.observer.unobserve(target);
    }
  }

  #wait(card) {
    this.#waiting.add(card);
    this.#timer ??= setTimeout(() => this.#beginRound(), ROUND_MS);
  }

  #beginRound() {
    const cards = [...this.#waiting];
    this.#waiting.clear();
    this.#draw(cards);
  }

  /** Draw the cards a slice at a time: in between, frames are drawn and events taken in, however many are open. */
  #draw(cards) {
    const until = performance.now() + SLICE_MS;
    while (cards.length > 0 && performance.now() < until) cards.pop().draw();
    if (cards.length > 0) this.#timer = setTimeout(() => this.#draw(cards));
    else this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#beginRound(), ROUND_MS) : null;
  }
}
