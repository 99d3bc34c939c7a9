/** The dashboard: one store, and the parts of the page that show it. */
import { searchFiles } from "./api.js";
import { ConnectionStatus } from "./connection-status.js";
import { Control } from "./control.js";
import { setUpCopyButton } from "./copy-example.js";
import { setHidden } from "./dom.js";
import { History } from "./history.js";
import { PipelineList } from "./pipeline-list.js";
import { ServiceClock } from "./service-clock.js";
import { socketUrl } from "./socket-url.js";
import { createPipelineStore } from "./store.js";
import { showInTab } from "./tab-title.js";
import { Session, TokenForm } from "./token-form.js";

const TICK_MS = 1_000;
const UNAUTHORIZED = 401;

class Dashboard {
  #store = null;
  #unsubscribe = [];
  #session = new Session();
  #clock = new ServiceClock();
  #live = false;

  constructor() {
    const { httpPort, socketPort, control } = document.documentElement.dataset;
    this.url = socketUrl(location, Number(httpPort), Number(socketPort));
    const now = () => this.#clock.now();
    this.control = new Control(control === "on", () => this.#session.headers(), () => this.tick());
    const context = { now, live: () => this.#live, control: this.control };
    this.cards = new PipelineList(document.getElementById("pipelines"), context);
    this.status = new ConnectionStatus(this.url);
    this.history = new History((query, signal) => this.#searchFiles(query, signal), now);
    this.empty = document.getElementById("empty");
    this.tokenForm = new TokenForm((token, namespace) => {
      this.#session.store(token, namespace);
      this.connect();
    });
    this.forget = document.getElementById("forget");
    this.forget.addEventListener("click", () => {
      this.#session.forget();
      this.connect();
    });
  }

  /** Connect with the session's token; closes the connection before. */
  connect() {
    this.#end();
    const { token, namespace } = this.#session;
    const store = createPipelineStore({ url: this.url, namespace, ...(token === null ? {} : { token }) });
    this.#store = store;
    this.#unsubscribe = [
      store.subscribe(() => this.#render()),
      // Statuses alone are enough to set the clock; there are far more of the other events.
      store.on("pipeline:status", (event) => this.#clock.heard(event.timestamp)),
    ];
    this.#render();
  }

  /** Update relative times; not in a hidden tab. */
  tick() {
    if (document.hidden || this.#store === null) return;
    const now = this.#clock.now();
    this.status.show(this.#store.getSnapshot(), this.#clock.behindSeconds());
    this.cards.tick(now);
    this.history.tick(now);
  }

  #render() {
    const snapshot = this.#store.getSnapshot();
    const { status, error } = snapshot.connection;
    this.#live = status === "live";
    if (!this.#live && status !== "catching-up") {
      this.#clock.reset();
      this.control.forget();
    }
    this.status.show(snapshot, this.#clock.behindSeconds());
    setHidden(this.forget, this.#session.token === null);
    if (status === "refused") this.#refused(error);
    else this.#show(snapshot);
  }

  #show({ pipelines, offset }) {
    // A pipeline with seq 0 has not reported yet, and may change its id when it does.
    const states = Object.values(pipelines).filter((state) => state.seq > 0);
    this.cards.update(states);
    setHidden(this.empty, !this.#live || states.length > 0);
    if (this.#live) this.tokenForm.close();
    if (this.#live) this.control.load(states);
    if (this.#live && states.length > 0) this.history.update(offset, states.map((state) => state.pipeline_id));
    showInTab(this.#live, states);
  }

  #refused(error) {
    this.cards.update([]);
    this.history.close();
    setHidden(this.empty, true);
    showInTab(false, []);
    this.tokenForm.ask(error, this.#session);
  }

  async #searchFiles(query, signal) {
    try {
      return await searchFiles(query, this.#session.headers(), signal);
    } catch (error) {
      if (error.status === UNAUTHORIZED) {
        this.#end();
        this.#refused(error);
      }
      throw error;
    }
  }

  #end() {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    this.#store?.close();
    this.history.close();
  }
}

setUpCopyButton();
const dashboard = new Dashboard();
dashboard.connect();
setInterval(() => dashboard.tick(), TICK_MS);
document.addEventListener("visibilitychange", () => dashboard.tick());
