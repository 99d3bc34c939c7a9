import { setAttribute, setHidden, setText } from "./dom.js";
import { clockTime, span } from "./format.js";

const HINT_AFTER_ATTEMPTS = 3;

const LOOKS = {
  connecting: ["Connecting", "neutral"],
  live: ["Live", "good"],
  "catching-up": ["Catching up", "warn"],
  reconnecting: ["Reconnecting", "warn"],
  refused: ["Not admitted", "bad"],
  closed: ["Disconnected", "neutral"],
};

/** Says in the header, always in sight, how far what the page shows can be relied on. */
export class ConnectionSign {
  #connection = null;
  #lastEventAt = null;

  constructor(url) {
    this.url = url;
    this.sign = document.getElementById("connection");
    this.word = document.getElementById("connection-word");
    this.detail = document.getElementById("connection-detail");
    this.notice = document.getElementById("notice");
  }

  /** Show the connection of a snapshot; `behind` is how many seconds late its last event was. */
  show({ connection, lastEventAt }, behind) {
    this.#connection = connection;
    this.#lastEventAt = lastEventAt;
    const late = connection.status === "live" && behind > 0;
    const [word, tone] = late ? ["Behind", "warn"] : LOOKS[connection.status];
    // The word alone is announced: a screen reader is not to count seconds.
    setText(this.word, word);
    setAttribute(this.sign, "data-tone", tone);
    setText(this.detail, late ? `by ${span(behind)}` : this.#detail());
    this.#hint();
  }

  #detail() {
    const { status, since, attempts } = this.#connection;
    if (status === "reconnecting") {
      const lasting = span((Date.now() - since) / 1000);
      const tries = attempts > 1 ? `, attempt ${attempts}` : "";
      return `since ${clockTime(since)} (${lasting}${tries})`;
    }
    if (status === "live" && this.#lastEventAt !== null) return `last event at ${clockTime(this.#lastEventAt)}`;
    return "";
  }

  // Retrying alone does not help who has never been connected: something is set wrong, and here is what.
  #hint() {
    const { status, attempts } = this.#connection;
    const lost = this.#lastEventAt === null && attempts >= HINT_AFTER_ATTEMPTS;
    setHidden(this.notice, !(lost && (status === "connecting" || status === "reconnecting")));
    setText(
      this.notice,
      `Socket.IO can't be reached at ${this.url}. See whether that address is open from here, and whether ` +
        `SOCKET_IO_CORS_ORIGIN of the service allows ${location.origin}.`,
    );
  }
}
