/** A real Socket.IO server that a test scripts, for behavior that the service shows only on errors. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import { onTestFinished } from "vitest";
import type { ConnectionError } from "../src/index.js";
import { fileEvent, statusEvent } from "./events.js";

export class Scripted {
  readonly #http = createServer();
  readonly #io = new Server(this.#http);
  /** The auth data of each connect. */
  readonly auths: Record<string, unknown>[] = [];
  /** The refusal of the next clients; null accepts them. */
  refusal: ConnectionError | null = null;
  /** Sends the first events to a client. */
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

  /** The number of connections. */
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

  /** Disconnect all clients from the namespace, as the service does when tokens expire. */
  dismiss(): void {
    this.#io.of("/pipeline").disconnectSockets();
  }

  async stop(): Promise<void> {
    await this.#io.close();
  }
}
