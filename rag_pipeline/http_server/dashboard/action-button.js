import { el, onPress, setAttribute, setHidden, setText, setUsable } from "./dom.js";

/** A button that sends a control request, and shows the outcome in a status message. */
export class ActionButton {
  /** `run` sends the request; its promise resolves to the message to show. */
  constructor(label, message, run) {
    this.button = el("button", "plain", label);
    this.button.type = "button";
    onPress(this.button, async () => {
      setUsable(this.button, false);
      try {
        message.show(await run());
      } catch (error) {
        message.show(error.message, true);
      }
      setUsable(this.button, true);
    });
  }
}

/** The message about the last request, announced by screen readers. */
export class StatusMessage {
  constructor() {
    this.node = el("span", "status-message quiet");
    this.node.setAttribute("role", "status");
  }

  show(text, bad = false) {
    this.node.classList.toggle("bad", bad);
    setText(this.node, text);
  }
}

/** Pause, resume and check now, for one pipeline. */
export class ControlBar {
  #state = null;
  #shownFor = null;

  constructor(control, pipelineId) {
    this.control = control;
    this.id = pipelineId;
    this.message = new StatusMessage();
    // One button for pause and resume, so that it keeps the focus.
    this.pause = new ActionButton("Pause", this.message, () => this.#send(this.paused ? "resume" : "pause"));
    this.check = new ActionButton("Check now", this.message, () => this.#send("check"));
    this.node = el("div", "control", this.pause.button, this.check.button, this.message.node);
  }

  get paused() {
    return this.#state.status === "paused";
  }

  update(state) {
    this.#state = state;
    this.tick();
    // The message is out of date once the page shows the effect of the request.
    const effect = `${state.status} ${state.last_check_time}`;
    if (this.#shownFor !== effect) this.message.show("");
    this.#shownFor = effect;
  }

  tick() {
    const ended = this.#state.status === "stopped" || this.#state.status === "stalled";
    const can = (action) => !ended && this.control.can(this.id, action);
    setText(this.pause.button, this.paused ? "Resume" : "Pause");
    setHidden(this.pause.button, !can(this.paused ? "resume" : "pause"));
    setHidden(this.check.button, !can("check") || this.paused);
    setHidden(this.node, !can("pause") && !can("check"));
  }

  async #send(action) {
    await this.control.send(this.id, action);
    return `Asked to ${action}.`;
  }
}

/** The retry button of a failed file. */
export class RetryButton {
  #file = null;

  constructor(control, pipelineId) {
    this.control = control;
    this.id = pipelineId;
    const message = new StatusMessage();
    this.retry = new ActionButton("Retry", message, async () => {
      await control.send(pipelineId, "retry", { file: this.#file.id });
      return "Asked to try it again.";
    });
    this.node = el("div", "control", this.retry.button, message.node);
  }

  update(file) {
    this.#file = file;
    setAttribute(this.retry.button, "aria-label", `Retry ${file.name}`);
    this.tick();
  }

  tick() {
    setHidden(this.node, this.#file.id === null || !this.control.can(this.id, "retry"));
  }
}
