// Node socket.io as it comes: the default in-memory adapter, which encodes an event once for all receivers.
"use strict";

const http = require("node:http");
const path = require("node:path");
const readline = require("node:readline");
const { Worker } = require("node:worker_threads");
const { Server } = require("socket.io");

const EVENT = "pipeline:file_completed";
const STATUS_EVENT = "pipeline:status";
const EVENTS_A_STATUS = 10;
const server = http.createServer();
// Deflate is off in ours too; everything else is the default.
const io = new Server(server, { perMessageDeflate: false });
const pipeline = io.of("/pipeline");

function say(answer) {
  process.stdout.write(JSON.stringify(answer) + "\n");
}

function eventBody(n, size) {
  return {
    pipeline_id: "bench",
    pipeline_type: "pipeline",
    epoch: "0123456789ab",
    seq: n,
    timestamp: "2026-01-01T00:00:00.000000+00:00",
    file: {
      name: `document-${n}.pdf`,
      id: String(n),
      stage: null,
      error: null,
      link: `@n=${n},t=${process.hrtime.bigint()}`,
    },
    pad: "x".repeat(Math.max(0, size - 283)),
  };
}

function emit(n, { size, status_bytes: statusBytes }) {
  pipeline.emit(EVENT, eventBody(n, size));
  if (statusBytes && n % EVENTS_A_STATUS === 0) pipeline.emit(STATUS_EVENT, { pad: "x".repeat(statusBytes) });
}

function burst(command) {
  const { first, count } = command;
  for (let n = first; n < first + count; n++) emit(n, command);
  say({ ok: true });
}

function rate(command) {
  const { first, count, per_second: perSecond } = command;
  const start = performance.now();
  let sent = 0;
  (function next() {
    while (sent < count && performance.now() >= start + (sent * 1000) / perSecond) {
      emit(first + sent++, command);
    }
    if (sent === count) say({ ok: true });
    else setTimeout(next, Math.max(0, start + (sent * 1000) / perSecond - performance.now()));
  })();
}

const BUSY = `
  const { workerData } = require("node:worker_threads");
  const loops = new BigInt64Array(workerData);
  let total = 0;
  for (;;) {
    for (let number = 0; number < 1000; number++) total = (total * 31 + number) & 0xffff;
    Atomics.add(loops, 0, 1n);
  }`;
const loops = new BigInt64Array(new SharedArrayBuffer(8));
let worker = null;

function sayBusy() {
  say({ ok: true, loops: Number(Atomics.load(loops, 0)), seconds: performance.now() / 1000 });
}

function busyStart() {
  worker = new Worker(BUSY, { eval: true, workerData: loops.buffer });
  worker.once("online", sayBusy);
}

function busyStop() {
  sayBusy();
  worker.terminate();
}

const commands = { burst, rate, busy_start: busyStart, busy_read: sayBusy, busy_stop: busyStop, quit: () => process.exit(0) };

server.listen(0, "127.0.0.1", 4096, () => {
  const installed = require(path.join(__dirname, "..", "node_modules", "socket.io", "package.json"));
  say({
    ready: true,
    port: server.address().port,
    versions: { node: process.versions.node, "socket.io": installed.version },
  });
});

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    (commands[command.cmd] ?? (() => say({ ok: false, error: `no command ${command.cmd}` })))(command);
  })
  .on("close", () => process.exit(0));
