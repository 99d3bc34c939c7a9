/** Helpers to build and change the page; text from pipelines never becomes markup. */

/** Return an element with a class and children: nodes, or strings, which become text. */
export function el(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Return an SVG element with attributes. */
export function svg(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}

// Writing the same text again would cost a layout, and a screen reader would repeat it.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute, or remove it if the value is null. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** Return the link if it is http or https, else null: pipelines can send any text. */
export function webLink(link) {
  try {
    return ["http:", "https:"].includes(new URL(link).protocol) ? link : null;
  } catch {
    return null;
  }
}

// A disabled button would lose the focus; with aria-disabled it keeps it for the next press.
export function setUsable(button, usable) {
  setAttribute(button, "aria-disabled", usable ? null : "true");
}

/** Call the handler when the button is pressed, unless it is aria-disabled. */
export function onPress(button, handler) {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") handler();
  });
}
