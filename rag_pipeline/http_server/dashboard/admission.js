import { setHidden, setText } from "./dom.js";

const KEY = "rag-pipeline";

const SAID = {
  token_invalid: "This token is not valid here. Check that it was copied whole.",
  token_expired: "This token has expired. Get a new one where you got it.",
  namespace_not_allowed: "This token is not for these pipelines. Choose those that it is for.",
};

/** What admits the page: a token and a namespace, kept for this tab alone. */
export class Session {
  constructor() {
    const kept = read();
    this.token = typeof kept.token === "string" ? kept.token : null;
    this.namespace = typeof kept.namespace === "string" ? kept.namespace : "/pipeline";
  }

  keep(token, namespace) {
    Object.assign(this, { token, namespace });
    attempt(() => sessionStorage.setItem(KEY, JSON.stringify({ token, namespace })));
  }

  forget() {
    Object.assign(this, { token: null, namespace: "/pipeline" });
    attempt(() => sessionStorage.removeItem(KEY));
  }

  /** Return the headers that HTTP asks for. */
  headers() {
    return this.token === null ? {} : { Authorization: `Bearer ${this.token}` };
  }
}

/** The form that asks for the token. */
export class AdmissionForm {
  /** `onToken(token, namespace)` is called when someone has given one. */
  constructor(onToken) {
    this.section = document.getElementById("admission");
    this.form = document.getElementById("admission-form");
    this.error = document.getElementById("admission-error");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { token, namespace } = Object.fromEntries(new FormData(this.form));
      setHidden(this.error, true);
      if (token.trim()) onToken(token.trim(), namespace);
    });
  }

  /** Ask for a token; the error says why the one before was refused, and is null when there was none. */
  ask(error, session) {
    const opened = this.section.hidden;
    setHidden(this.section, false);
    const said = error === null || error.code === "token_missing" ? "" : (SAID[error.code] ?? error.message);
    setText(this.error, said);
    setHidden(this.error, said === "");
    this.form.elements.token.setAttribute("aria-invalid", String(said !== ""));
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

// Where storage is switched off, the token lasts until the page is left.
function attempt(act) {
  try {
    return act();
  } catch {
    return null;
  }
}
