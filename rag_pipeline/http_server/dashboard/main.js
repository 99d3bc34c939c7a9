/** The dashboard: one store, and what shows it. */
import { socketAddress } from "./address.js";
import { AdmissionForm, Session } from "./admission.js";
import { askFiles } from "./ask.js";
import { ServiceClock } from "./clock.js";
import { ConnectionSign } from "./connection.js";
import { Control } from "./control.js";
import { offerExample } from "./example.js";
import { setHidden } from "./dom.js";
import { History } from "./history.js";
import { PipelineList } from "./pipelines.js";
import { createPipelineStore } from "./store.js";
import { showInTab } from "./title.js";

const TICK_MS = 1_000;
const UNAUTHORIZED = 401;

class Dashboard {
  #store = null;
  #leave = [];
  #session = new Session();
  #clock = new ServiceClock();
  #live = false;

  constructor() {
    const { httpPort, socketPort, control } = document.documentElement.dataset;
    this.url = socketAddress(location, Number(httpPort), Number(socketPort));
    const now = () => this.#clock.now();
    this.control = new Control(control === "on", () => this.#session.headers(), () => this.tick());
    const surroundings = { now, live: () => this.#live, control: this.control };
    this.cards = new PipelineList(document.getElementById("pipelines"), surroundings);
    this.sign = new ConnectionSign(this.url);
    this.history = new History((query, signal) => this.#askFiles(query, signal), now);
    this.empty = document.getElementById("empty");
    this.admission = new AdmissionForm((token, namespace) => {
      this.#session.keep(token, namespace);
      this.connect();
    });
    this.forget = document.getElementById("forget");
    this.forget.addEventListener("click", () => {
      this.#session.forget();
      this.connect();
    });
  }

  /** Connect with what the session has, in place of the connection before. */
  connect() {
    this.#end();
    const { token, namespace } = this.#session;
    const store = createPipelineStore({ url: this.url, namespace, ...(token === null ? {} : { token }) });
    this.#store = store;
    this.#leave = [
      store.subscribe(() => this.#render()),
      // Each status tells the service's time; there are enough of them, and the other events are many.
      store.on("pipeline:status", (event) => this.#clock.heard(event.timestamp)),
    ];
    this.#render();
  }

  /** Bring up to date what changes with time alone; nobody sees it in a hidden tab. */
  tick() {
    if (document.hidden || this.#store === null) return;
    const now = this.#clock.now();
    this.sign.show(this.#store.getSnapshot(), this.#clock.behindSeconds());
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
    this.sign.show(snapshot, this.#clock.behindSeconds());
    setHidden(this.forget, this.#session.token === null);
    if (status === "refused") this.#refused(error);
    else this.#show(snapshot);
  }

  #show({ pipelines, offset }) {
    // One with seq 0 has not reported, and may change its id when it does.
    const states = Object.values(pipelines).filter((state) => state.seq > 0);
    this.cards.update(states);
    setHidden(this.empty, !this.#live || states.length > 0);
    if (this.#live) this.admission.close();
    if (this.#live) this.control.learn(states);
    if (this.#live && states.length > 0) this.history.note(offset, states.map((state) => state.pipeline_id));
    showInTab(this.#live, states);
  }

  #refused(error) {
    this.cards.update([]);
    this.history.close();
    setHidden(this.empty, true);
    showInTab(false, []);
    this.admission.ask(error, this.#session);
  }

  async #askFiles(query, signal) {
    try {
      return await askFiles(query, this.#session.headers(), signal);
    } catch (error) {
      if (error.status === UNAUTHORIZED) {
        this.#end();
        this.#refused(error);
      }
      throw error;
    }
  }

  #end() {
    for (const leave of this.#leave) leave();
    this.#leave = [];
    this.#store?.close();
    this.history.close();
  }
}

offerExample();
const dashboard = new Dashboard();
dashboard.connect();
setInterval(() => dashboard.tick(), TICK_MS);
document.addEventListener("visibilitychange", () => dashboard.tick());
