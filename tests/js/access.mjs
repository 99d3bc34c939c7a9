// Joins a namespace with a token, and prints connection attempts, errors and events as lines of JSON.
// Arguments: address, namespace, transports (comma-separated, or "default"). The token is in TOKEN; none without it.
import { io } from "socket.io-client";

const [address, namespace, transports] = process.argv.slice(2);
const options = transports === "default" ? {} : { transports: transports.split(",") };
const token = process.env.TOKEN;
const auth = token === undefined ? {} : { token };
const socket = io(address + namespace, { ...options, auth, reconnectionDelay: 20, reconnectionDelayMax: 40 });
const say = (...line) => process.stdout.write(JSON.stringify(line) + "\n");

socket.io.on("open", () => say("open"));
socket.io.on("close", (reason) => say("close", reason));
socket.io.on("reconnect_attempt", () => say("reconnect_attempt"));
socket.on("connect", () => say("connect"));
socket.on("connect_error", (error) => say("connect_error", error.message, error.data ?? null, socket.active));
socket.on("disconnect", (reason) => say("disconnect", reason, socket.active));
socket.onAny((name, payload) => say("event", name, payload));

process.stdin.resume();
process.stdin.on("end", () => {
  socket.close();
  process.exit(0);
});
