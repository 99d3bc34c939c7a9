import { setAttribute } from "./dom.js";
import { count, toneOf, words } from "./format.js";

const NAME = "Pipelines";

/** Show the most important state in the title and icon of the browser tab. */
export function showInTab(connected, states) {
  const [text, icon] = summary(connected, states);
  const title = `${text} – ${NAME}`;
  if (document.title !== title) document.title = title;
  setAttribute(document.getElementById("icon"), "href", `dashboard/icon-${icon}.svg`);
}

function summary(connected, states) {
  if (!connected) return ["Not live", "offline"];
  if (states.length === 0) return ["Waiting", "idle"];
  const failing = states.find((state) => toneOf(state.status) === "bad");
  if (failing) return [words(failing.status), "error"];
  const inFlight = states.reduce((sum, state) => sum + state.files_in_flight, 0);
  if (inFlight > 0) return [`${count(inFlight)} in flight`, "active"];
  const active = states.find((state) => toneOf(state.status) === "active");
  return [words((active ?? states[0]).status), active ? "active" : "idle"];
}
