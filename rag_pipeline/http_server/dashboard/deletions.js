import { Asking, Said } from "./asking.js";
import { el, onPress, setHidden, setText } from "./dom.js";
import { count } from "./format.js";

/** Deletions that a pipeline holds back until a person confirms them: one button, and a second one to be sure. */
export class HeldDeletions {
  #state = null;
  #asked = null; // the number that the question names, null while nothing is asked
  #held = 0;

  constructor(control, pipelineId) {
    this.control = control;
    this.id = pipelineId;
    this.said = new Said();
    this.begin = plainButton(() => this.#ask());
    this.question = el("span");
    this.sure = new Asking("Delete", this.said, () => this.#confirm());
    this.keep = plainButton(() => this.#close(true));
    setText(this.keep, "Keep them");
    this.step = el("span", "step", this.question, this.sure.button, this.keep);
    this.step.setAttribute("role", "group");
    this.step.setAttribute("aria-label", "Confirm the deletions");
    this.node = el("div", "control held", this.begin, this.step, this.said.node);
    setHidden(this.step, true);
  }

  update(state) {
    const held = typeof state.deletions_held === "number" ? state.deletions_held : 0;
    if (held !== this.#held) {
      this.said.show("");
      // The answer is about the number that was read, and no other.
      if (this.#asked !== null) this.#close(this.step.contains(document.activeElement));
    }
    this.#state = state;
    this.#held = held;
    setText(this.begin, `Delete ${files(held)}`);
    this.tick();
  }

  tick() {
    const ended = this.#state.status === "stopped" || this.#state.status === "stalled";
    setHidden(this.node, ended || this.#held === 0 || !this.control.can(this.id, "confirm"));
  }

  #ask() {
    this.#asked = this.#held;
    this.said.show("");
    setText(this.question, `Delete the stored text of ${files(this.#held)} for good?`);
    setText(this.sure.button, `Yes, delete ${files(this.#held)}`);
    setHidden(this.begin, true);
    setHidden(this.step, false);
    this.keep.focus();
  }

  #close(focus) {
    this.#asked = null;
    setHidden(this.begin, false);
    setHidden(this.step, true);
    if (focus) this.begin.focus();
  }

  async #confirm() {
    await this.control.ask(this.id, "confirm", { count: this.#asked });
    this.#close(true);
    return "Asked to delete them.";
  }
}

function plainButton(press) {
  const button = el("button", "plain");
  button.type = "button";
  onPress(button, press);
  return button;
}

function files(number) {
  return `${count(number)} ${number === 1 ? "file" : "files"}`;
}
