import { requestJson } from "./api.js";

const RETRY_MS = 5_000;
const NO_ACTIONS = Object.freeze([]);

/** Sends control requests, and knows which ones each pipeline accepts; none if `enabled` is false. */
export class Control {
  #actions = new Map();
  #loadedFor = null;

  /** `headers` returns the HTTP headers to send; `onChange` is called when the accepted actions have changed. */
  constructor(enabled, headers, onChange) {
    this.enabled = enabled;
    this.headers = headers;
    this.onChange = onChange;
  }

  /** Return whether a pipeline accepts the action. */
  can(pipelineId, action) {
    return (this.#actions.get(pipelineId) ?? NO_ACTIONS).includes(action);
  }

  /** Load the accepted actions, if there are new pipelines or one has restarted. */
  async load(states) {
    if (!this.enabled) return;
    const key = states.map((one) => [one.pipeline_id, one.epoch, one.status === "initializing"]).join();
    if (key === this.#loadedFor) return;
    this.#loadedFor = key;
    try {
      const { pipelines } = await requestJson("health", { headers: this.headers() });
      this.#actions = new Map(Object.entries(pipelines ?? {}).map(([id, one]) => [id, one.actions ?? NO_ACTIONS]));
      this.onChange();
    } catch {
      // Not at the next event: there may be a hundred a second.
      setTimeout(() => (this.#loadedFor = null), RETRY_MS);
    }
  }

  /** Forget the actions: after a reconnect another service may respond. */
  forget() {
    this.#loadedFor = null;
    this.#actions.clear();
  }

  /** Send a control request to a pipeline; raises ApiError. */
  async send(pipelineId, action, parameter = {}) {
    const query = Object.entries(parameter).map(([name, value]) => `?${name}=${encodeURIComponent(value)}`);
    const url = `control/${encodeURIComponent(pipelineId)}/${action}${query.join("")}`;
    await requestJson(url, { method: "POST", headers: this.headers() });
  }
}
