import { setHidden, setText } from "./dom.js";

const KEY = "rag-pipeline";

const MESSAGES = {
  token_invalid: "This token is not valid here. Check that it was copied whole.",
  token_expired: "This token has expired. Get a new one where you got it.",
  namespace_not_allowed: "This token is not for these pipelines. Choose those that it is for.",
};

/** The token and the namespace, stored for this tab only. */
export class Session {
  constructor() {
    const stored = read();
    this.token = typeof stored.token === "string" ? stored.token : null;
    this.namespace = typeof stored.namespace === "string" ? stored.namespace : "/pipeline";
  }

  store(token, namespace) {
    Object.assign(this, { token, namespace });
    attempt(() => sessionStorage.setItem(KEY, JSON.stringify({ token, namespace })));
  }

  forget() {
    Object.assign(this, { token: null, namespace: "/pipeline" });
    attempt(() => sessionStorage.removeItem(KEY));
  }

  /** Return the headers of HTTP requests. */
  headers() {
    return this.token === null ? {} : { Authorization: `Bearer ${this.token}` };
  }
}

/** The form that asks for the token. */
export class TokenForm {
  /** `onToken(token, namespace)` is called when a token was entered. */
  constructor(onToken) {
    this.section = document.getElementById("token-section");
    this.form = document.getElementById("token-form");
    this.error = document.getElementById("token-error");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { token, namespace } = Object.fromEntries(new FormData(this.form));
      setHidden(this.error, true);
      if (token.trim()) onToken(token.trim(), namespace);
    });
  }

  /** Show the form; the error says why the last token was refused, and is null without one. */
  ask(error, session) {
    const opened = this.section.hidden;
    setHidden(this.section, false);
    const message = error === null || error.code === "token_missing" ? "" : (MESSAGES[error.code] ?? error.message);
    setText(this.error, message);
    setHidden(this.error, message === "");
    this.form.elements.token.setAttribute("aria-invalid", String(message !== ""));
    const { token, namespace } = this.form.elements;
    if (!opened) return;
    namespace.value = session.namespace;
    if (error?.code === "namespace_not_allowed") token.value = session.token ?? "";
    token.focus();
  }

  close() {
    if (this.section.hidden) return;
    setHidden(this.section, true);
    this.form.reset();
  }
}

function read() {
  const text = attempt(() => sessionStorage.getItem(KEY));
  return attempt(() => JSON.parse(text)) ?? {};
}

// If storage is switched off, the token lasts until the page is closed.
function attempt(act) {
  try {
    return act();
  } catch {
    return null;
  }
}
