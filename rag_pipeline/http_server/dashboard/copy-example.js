import { setText } from "./dom.js";

const SHOWN_MS = 4_000;

/** Make the copy button of the example work. */
export function setUpCopyButton() {
  const button = document.getElementById("copy");
  const message = document.getElementById("copied");
  let timer;
  button.addEventListener("click", async () => {
    const done = await copy(document.getElementById("example"));
    const text = done ? "Copied" : "Selected: copy it with your keyboard";
    setText(button, text);
    setText(message, text);
    clearTimeout(timer);
    timer = setTimeout(() => {
      setText(button, "Copy");
      setText(message, "");
    }, SHOWN_MS);
  });
}

// Browsers allow writing to the clipboard only on localhost and over TLS; elsewhere the lines are selected.
async function copy(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(node);
    return false;
  }
}
