// Connects to a namespace and prints each event as one line of JSON, until its standard input ends.
// Arguments: address, namespace, transports (comma-separated, or "default").
import { io } from "socket.io-client";

const [address, namespace, transports] = process.argv.slice(2);
const options = transports === "default" ? {} : { transports: transports.split(",") };
if (process.env.TRY_ALL_TRANSPORTS) options.tryAllTransports = true;
const socket = io(address + namespace, { ...options, reconnectionDelay: 100, reconnectionDelayMax: 200 });
const say = (...line) => process.stdout.write(JSON.stringify(line) + "\n");

socket.io.on("open", () => socket.io.engine.on("upgrade", (transport) => say("upgrade", transport.name)));
socket.on("connect", () => say("connect", socket.io.engine.transport.name));
socket.on("connect_error", (error) => say("connect_error", error.message));
socket.on("disconnect", (reason) => say("disconnect", reason));
socket.onAny((name, payload) => say("event", name, payload));

process.stdin.resume();
process.stdin.on("end", () => {
  socket.close();
  process.exit(0);
});
