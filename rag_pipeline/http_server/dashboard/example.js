import { setText } from "./dom.js";

const SHOWN_MS = 4_000;

/** Let the example be copied with one press. */
export function offerExample() {
  const button = document.getElementById("copy");
  const said = document.getElementById("copied");
  let timer;
  button.addEventListener("click", async () => {
    const done = await copy(document.getElementById("example"));
    const text = done ? "Copied" : "Selected: copy it with your keyboard";
    setText(button, text);
    setText(said, text);
    clearTimeout(timer);
    timer = setTimeout(() => {
      setText(button, "Copy");
      setText(said, "");
    }, SHOWN_MS);
  });
}

// Browsers let pages write to the clipboard on localhost and over TLS only; elsewhere the lines are selected.
async function copy(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(node);
    return false;
  }
}
