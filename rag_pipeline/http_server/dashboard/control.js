import { AnswerError } from "./ask.js";

const AGAIN_MS = 5_000;
const NOTHING = Object.freeze([]);

/** What pipelines can be asked for here, and the asking; with `on` false, nothing. */
export class Control {
  #actions = new Map();
  #known = null;

  /** `headers` returns those that HTTP asks for; `onLearned` is called when there is something new to be known. */
  constructor(on, headers, onLearned) {
    this.on = on;
    this.headers = headers;
    this.onLearned = onLearned;
  }

  /** Return whether a pipeline can be asked for this. */
  can(pipelineId, action) {
    return (this.#actions.get(pipelineId) ?? NOTHING).includes(action);
  }

  /** Find out what the pipelines can be asked for, when there are others than before or one has begun. */
  async learn(states) {
    if (!this.on) return;
    const known = states.map((one) => [one.pipeline_id, one.epoch, one.status === "initializing"]).join();
    if (known === this.#known) return;
    this.#known = known;
    try {
      const { pipelines } = await this.#fetch("health");
      this.#actions = new Map(Object.entries(pipelines ?? {}).map(([id, told]) => [id, told.actions ?? NOTHING]));
      this.onLearned();
    } catch {
      // Not at each event: there may be a hundred a second.
      setTimeout(() => (this.#known = null), AGAIN_MS);
    }
  }

  /** Know nothing any more: it may be another service that answers next. */
  forget() {
    this.#known = null;
    this.#actions.clear();
  }

  /** Ask a pipeline for something; raises AnswerError with what stands in the way. */
  async ask(pipelineId, action, parameter = {}) {
    const query = Object.entries(parameter).map(([name, value]) => `?${name}=${encodeURIComponent(value)}`);
    await this.#fetch(`control/${encodeURIComponent(pipelineId)}/${action}${query.join("")}`, "POST");
  }

  async #fetch(address, method = "GET") {
    const response = await fetch(address, { method, headers: this.headers() }).catch(() => {
      throw new AnswerError("The service can't be reached now.", 0);
    });
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    throw new AnswerError(body.error ?? `The service answered ${response.status}.`, response.status);
  }
}
