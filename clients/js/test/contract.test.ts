import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, onTestFinished, test } from "vitest";
// @ts-expect-error: a script without types
import { typescript } from "../scripts/typescript.mjs";

const PACKAGE = fileURLToPath(new URL("../", import.meta.url));
const CONTRACT = fileURLToPath(new URL("../../../rag_pipeline/contract/asyncapi.json", import.meta.url));

let contract = "";
beforeAll(async () => {
  contract = await readFile(CONTRACT, "utf8");
});

interface Ended {
  readonly code: number;
  readonly output: string;
}

function node(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: PACKAGE }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "rag-pipeline-contract-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Build the package against this contract, in a temporary folder. */
async function built(against: string): Promise<Ended> {
  const place = await folder();
  for (const part of ["src", "package.json", "tsconfig.json", "tsconfig.build.json"]) {
    await cp(join(PACKAGE, part), join(place, part), { recursive: true });
  }
  await symlink(join(PACKAGE, "node_modules"), join(place, "node_modules"));
  await writeFile(join(place, "contract.json"), against);
  const to = join(place, "src/generated/contract.ts");
  const generated = await node("scripts/generate.mjs", "--from", join(place, "contract.json"), "--to", to);
  expect(generated).toEqual({ code: 0, output: "" });
  return node("node_modules/typescript/bin/tsc", "-p", join(place, "tsconfig.build.json"), "--noEmit");
}

test("the types match the contract that the service serves", async () => {
  expect(await node("scripts/generate.mjs", "--check")).toEqual({ code: 0, output: "" });
});

test("types that don't match are reported in one line", async () => {
  const to = join(await folder(), "contract.ts");
  await writeFile(to, "export interface Stale {}\n");
  const { code, output } = await node("scripts/generate.mjs", "--check", "--to", to);
  expect(code).toBe(1);
  expect(output).toMatch(/^.*contract\.ts is not what .*asyncapi\.json says: npm run generate\n$/);
});

test("the package builds against the current contract", { timeout: 120_000 }, async () => {
  expect(await built(contract)).toEqual({ code: 0, output: "" });
});

test.each([
  ["a field of the state that is renamed", '"files_in_flight"', '"files_working"', "state-reducer.ts"],
  ["a field of a file that is renamed", '"started_at"', '"began_at"', "state-reducer.ts"],
  ["a number that becomes a text", /("seq": \{\s*"type": )"integer"/g, '$1"string"', "state-tracker.ts"],
  ["an event that is renamed", '"pipeline:file_skipped"', '"pipeline:file_ignored"', "state-reducer.ts"],
  ["another way to hand over the offset", /("ConnectAuth"[\s\S]*?)"offset"/, '$1"position"', "connection.ts"],
])("%s breaks the build", { timeout: 120_000 }, async (_, from, to, file) => {
  const changed = contract.replaceAll(from instanceof RegExp ? new RegExp(from.source, "g") : from, to);
  expect(changed).not.toBe(contract);
  const { code, output } = await built(changed);
  expect(code).not.toBe(0);
  expect(output).toContain(`src/${file}`);
});

test("an unsupported schema stops the generation", () => {
  const document = { components: { schemas: { Odd: { patternProperties: {} } } }, operations: {} };
  expect(() => typescript(document, "a test")).toThrow("there is no type for patternProperties");
});

test("each kind of schema has its type", () => {
  const schemas = {
    Names: { type: "array", items: { type: ["string", "null"] } },
    Kind: { enum: ["a", 1, null] },
    Both: {
      allOf: [{ $ref: "#/components/schemas/Names" }, { type: "object", properties: { "a-b": { const: true } } }],
    },
    Map: { description: "By id.", type: "object", additionalProperties: { type: "integer" } },
    Open: { type: "object", properties: { a: {} }, required: ["a"], additionalProperties: true },
  };
  const source: string = typescript({ components: { schemas }, operations: {} }, "a test");
  expect(source).toContain("export type Names = readonly (string | null)[];");
  expect(source).toContain('export type Kind = "a" | 1 | null;');
  expect(source).toContain('export type Both = Names & {\n  readonly "a-b"?: true;\n};');
  expect(source).toContain("/** By id. */\nexport interface Map {\n  readonly [key: string]: number;\n}");
  expect(source).toContain("export interface Open {\n  readonly a: unknown;\n  readonly [key: string]: unknown;\n}");
});
