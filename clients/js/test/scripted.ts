/** A real Socket.IO server that says what a test wants: for what the service does only when something is wrong. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import { onTestFinished } from "vitest";
import type { ConnectionError } from "../src/index.js";
import { fileEvent, statusEvent } from "./events.js";

export class Scripted {
  readonly #http = createServer();
  readonly #io = new Server(this.#http);
  /** What each client has handed over when it connected. */
  readonly auths: Record<string, unknown>[] = [];
  /** Why the next clients are refused; null lets them in. */
  refusal: ConnectionError | null = null;
  /** What a client is told first. */
  greet: (socket: Socket, auth: Record<string, unknown>) => void = (socket) => {
    socket.emit("pipeline:status", statusEvent());
  };

  static async start(): Promise<Scripted> {
    const scripted = new Scripted();
    await new Promise<void>((resolve) => scripted.#http.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => scripted.stop());
    return scripted;
  }

  private constructor() {
    const pipelines = this.#io.of("/pipeline");
    pipelines.use((socket, next) => {
      this.auths.push(socket.handshake.auth);
      const why = this.refusal;
      next(why === null ? undefined : Object.assign(new Error(why.message), { data: { code: why.code } }));
    });
    pipelines.on("connection", (socket) => this.greet(socket, socket.handshake.auth));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** How many connections there are. */
  get clients(): number {
    return this.#io.engine.clientsCount;
  }

  /** Send an event to everyone. */
  emit(name: string, event: object): void {
    this.#io.of("/pipeline").emit(name, event);
  }

  /** Send a file event with this `seq` to everyone. */
  file(seq: number, more: object = {}): void {
    this.emit("pipeline:file_processing_started", fileEvent(seq, more));
  }

  /** End the connections to the namespace, as a service does with those whose token has expired. */
  dismiss(): void {
    this.#io.of("/pipeline").disconnectSockets();
  }

  async stop(): Promise<void> {
    await this.#io.close();
  }
}
