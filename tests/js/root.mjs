// Connects to ws://… without a namespace, as the shortest snippet does, and prints each event with its namespace as one
// line of JSON. Arguments: address, namespaces to join over one connection ("" is none), transports (comma-separated).
import { io } from "socket.io-client";

const [address, namespaces, transports] = process.argv.slice(2);
const say = (...line) => process.stdout.write(JSON.stringify(line) + "\n");

for (const namespace of namespaces.split(",")) {
  const socket = io(address.replace("http:", "ws:") + namespace, { transports: transports.split(",") });
  socket.on("connect", () => say("connect", namespace, socket.io.engine.id));
  socket.on("connect_error", (error) => say("connect_error", namespace, error.message));
  socket.onAny((name, payload) => say("event", name, payload, namespace));
}

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
