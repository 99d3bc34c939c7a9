/** Python programs of the tests, which answer lines of JSON with lines of JSON. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../../..");
const PYTHON = process.env["PYTHON"] ?? `${ROOT}/.venv/bin/python`;
/** Environment variables of the service, which tests must not inherit. */
const OURS = /^(STATUS_|SOCKET_IO_|RAG_|RUN_MODE$|ENVIRONMENT$)/;

export type Env = Readonly<Record<string, string>>;

export class Program {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: ((answer: string | null) => void)[] = [];

  constructor(module: string, env: Env = {}) {
    const kept = Object.fromEntries(Object.entries(process.env).filter(([key]) => !OURS.test(key)));
    this.#process = spawn(PYTHON, ["-m", module], {
      cwd: ROOT,
      env: { ...kept, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#process.on("error", (error) => console.error(`${PYTHON} can't be run: ${error.message}`));
    this.#lines = createInterface({ input: this.#process.stdout! });
    this.#lines.on("line", (line) => this.#waiting.shift()?.(line));
    this.#lines.on("close", () => this.#waiting.splice(0).forEach((wake) => wake(null)));
  }

  async ask<T>(question: unknown): Promise<T> {
    const line = await new Promise<string | null>((resolve) => {
      this.#waiting.push(resolve);
      this.#process.stdin!.write(`${JSON.stringify(question)}\n`);
    });
    if (line === null) throw new Error(`the program has ended before it answered ${JSON.stringify(question)}`);
    const answer = JSON.parse(line) as T & { error?: string };
    if (answer.error !== undefined && typeof answer.error === "string") throw new Error(answer.error);
    return answer;
  }

  /** Kill it, as a crash would. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }
}
