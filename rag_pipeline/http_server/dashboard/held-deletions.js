import { ActionButton, StatusMessage } from "./action-button.js";
import { el, onPress, setHidden, setText } from "./dom.js";
import { count } from "./format.js";

/** Deletions that a pipeline holds back until a person confirms them, with a second button to be sure. */
export class HeldDeletions {
  #state = null;
  #held = 0;
  #asked = null; // the number in the open question, null while it is closed

  constructor(control, pipelineId) {
    this.control = control;
    this.id = pipelineId;
    this.message = new StatusMessage();
    this.begin = plainButton(() => this.#open());
    this.question = el("span");
    this.confirm = new ActionButton("Delete", this.message, () => this.#confirm());
    this.keep = plainButton(() => this.#close(true));
    setText(this.keep, "Keep them");
    this.step = el("span", "step", this.question, this.confirm.button, this.keep);
    this.step.setAttribute("role", "group");
    this.step.setAttribute("aria-label", "Confirm the deletions");
    this.node = el("div", "control held", this.begin, this.step, this.message.node);
    setHidden(this.step, true);
  }

  update(state) {
    const held = typeof state.deletions_held === "number" ? state.deletions_held : 0;
    if (held !== this.#held) {
      this.message.show("");
      // The person confirms the number that they read, and no other.
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

  #open() {
    this.#asked = this.#held;
    this.message.show("");
    setText(this.question, `Delete the stored text of ${files(this.#held)} for good?`);
    setText(this.confirm.button, `Yes, delete ${files(this.#held)}`);
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
    await this.control.send(this.id, "confirm", { count: this.#asked });
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
