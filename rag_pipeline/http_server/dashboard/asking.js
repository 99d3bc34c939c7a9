import { el, onPress, setAttribute, setHidden, setText, setUsable } from "./dom.js";

/** A button that asks a pipeline for something, and the words that say what came of it. */
export class Asking {
  /** `ask` returns a promise of what to say. */
  constructor(label, said, ask) {
    this.button = el("button", "plain", label);
    this.button.type = "button";
    this.said = said;
    onPress(this.button, async () => {
      setUsable(this.button, false);
      try {
        said.show(await ask());
      } catch (error) {
        said.show(error.message, true);
      }
      setUsable(this.button, true);
    });
  }
}

export class Said {
  constructor() {
    this.node = el("span", "said quiet");
    this.node.setAttribute("role", "status");
  }

  show(text, bad = false) {
    this.node.classList.toggle("bad", bad);
    setText(this.node, text);
  }
}

/** Pause, resume and check now, for one pipeline. */
export class ControlBar {
  constructor(control, pipelineId) {
    this.control = control;
    this.id = pipelineId;
    this.state = null;
    this.seen = null;
    this.said = new Said();
    // One button for both, so that the focus stays where it was pressed.
    this.hold = new Asking("Pause", this.said, () => this.#ask(this.paused ? "resume" : "pause"));
    this.check = new Asking("Check now", this.said, () => this.#ask("check"));
    this.node = el("div", "control", this.hold.button, this.check.button, this.said.node);
  }

  get paused() {
    return this.state.status === "paused";
  }

  update(state) {
    this.state = state;
    this.tick();
    // What was asked for is to be seen now.
    const seen = `${state.status} ${state.last_check_time}`;
    if (this.seen !== seen) this.said.show("");
    this.seen = seen;
  }

  tick() {
    const ended = this.state.status === "stopped" || this.state.status === "stalled";
    const able = (action) => !ended && this.control.can(this.id, action);
    setText(this.hold.button, this.paused ? "Resume" : "Pause");
    setHidden(this.hold.button, !able(this.paused ? "resume" : "pause"));
    setHidden(this.check.button, !able("check") || this.paused);
    setHidden(this.node, !able("pause") && !able("check"));
  }

  async #ask(action) {
    await this.control.ask(this.id, action);
    return `Asked to ${action}.`;
  }
}

/** Retry, at a file that failed. */
export class Retry {
  constructor(control, pipelineId) {
    this.control = control;
    this.id = pipelineId;
    this.file = null;
    const said = new Said();
    this.retry = new Asking("Retry", said, async () => {
      await control.ask(pipelineId, "retry", { file: this.file.id });
      return "Asked to try it again.";
    });
    this.node = el("div", "control", this.retry.button, said.node);
  }

  update(file) {
    this.file = file;
    setAttribute(this.retry.button, "aria-label", `Retry ${file.name}`);
    this.tick();
  }

  tick() {
    setHidden(this.node, this.file.id === null || !this.control.can(this.id, "retry"));
  }
}
