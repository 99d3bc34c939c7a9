// Follows a namespace over breaks of the connection, and prints events as lines of JSON, until its input ends.
// Arguments: address, namespace, mode. "socket.io" leaves recovery to the client library, "offset" sends the last offset.
// A line "cut" on standard input breaks the connection; the client then reconnects.
import readline from "node:readline";
import { io } from "socket.io-client";

const [address, namespace, mode] = process.argv.slice(2);
let last;
const auth = mode === "socket.io" ? { recovery: true } : (send) => send(last === undefined ? {} : { offset: last });
// On a WebSocket from the start: a client whose server stops in the middle of an upgrade waits for its own timeout first.
const transports = (process.env.TRANSPORTS ?? "websocket").split(",");
const socket = io(address + namespace, { auth, transports, reconnectionDelay: 200, reconnectionDelayMax: 300 });
const say = (...line) => process.stdout.write(JSON.stringify(line) + "\n");

socket.on("connect", () => say("connect", socket.recovered));
socket.on("disconnect", (reason) => say("disconnect", reason));
socket.onAny((name, payload) => {
  last = payload.offset;
  say("event", name, payload);
});

readline
  .createInterface({ input: process.stdin })
  .on("line", () => socket.io.engine.close())
  .on("close", () => {
    socket.close();
    process.exit(0);
  });
