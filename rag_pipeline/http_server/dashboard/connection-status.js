import { setAttribute, setHidden, setText } from "./dom.js";
import { clockTime, span } from "./format.js";

const HINT_AFTER_ATTEMPTS = 3;

const LABELS = {
  connecting: ["Connecting", "neutral"],
  live: ["Live", "good"],
  "catching-up": ["Catching up", "warn"],
  reconnecting: ["Reconnecting", "warn"],
  refused: ["Not admitted", "bad"],
  closed: ["Disconnected", "neutral"],
};

/** The connection status in the header, which is always visible. */
export class ConnectionStatus {
  #connection = null;
  #lastEventAt = null;

  constructor(url) {
    this.url = url;
    this.sign = document.getElementById("connection");
    this.word = document.getElementById("connection-word");
    this.detail = document.getElementById("connection-detail");
    this.notice = document.getElementById("notice");
  }

  /** Show the connection of a snapshot; `behind` is by how many seconds the last event was late. */
  show({ connection, lastEventAt }, behind) {
    this.#connection = connection;
    this.#lastEventAt = lastEventAt;
    const late = connection.status === "live" && behind > 0;
    const [word, tone] = late ? ["Behind", "warn"] : LABELS[connection.status];
    // Only the word is announced: a screen reader must not count seconds.
    setText(this.word, word);
    setAttribute(this.sign, "data-tone", tone);
    setText(this.detail, late ? `by ${span(behind)}` : this.#detail());
    this.#hint();
  }

  #detail() {
    const { status, since, attempts } = this.#connection;
    if (status === "reconnecting") {
      const elapsed = span((Date.now() - since) / 1000);
      const tries = attempts > 1 ? `, attempt ${attempts}` : "";
      return `since ${clockTime(since)} (${elapsed}${tries})`;
    }
    if (status === "live" && this.#lastEventAt !== null) return `last event at ${clockTime(this.#lastEventAt)}`;
    return "";
  }

  // If the page was never connected, retrying alone does not help: a setting is probably wrong.
  #hint() {
    const { status, attempts } = this.#connection;
    const neverConnected = this.#lastEventAt === null && attempts >= HINT_AFTER_ATTEMPTS;
    setHidden(this.notice, !(neverConnected && (status === "connecting" || status === "reconnecting")));
    setText(
      this.notice,
      `Socket.IO can't be reached at ${this.url}. Check that the address is reachable from here, and that ` +
        `the service's SOCKET_IO_CORS_ORIGIN allows ${location.origin}.`,
    );
  }
}
