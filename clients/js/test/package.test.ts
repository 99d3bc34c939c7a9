import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { Scripted } from "./scripted.js";

const PACKAGE = fileURLToPath(new URL("../", import.meta.url));
// Imported only after the build.
const built = (name: string): Promise<Record<string, unknown>> => import(/* @vite-ignore */ `../dist/${name}.js`);

beforeAll(() => {
  execFileSync("npm", ["run", "--silent", "build"], { cwd: PACKAGE, stdio: "inherit" });
}, 120_000);

test("the built package consists of modules that Node runs directly", async () => {
  const server = await Scripted.start();
  const program = `
    import { createPipelineStore } from "rag-pipeline-status-client";
    const store = createPipelineStore({ url: ${JSON.stringify(server.url)} });
    store.subscribe(() => {
      const { connection, pipelines } = store.getSnapshot();
      if (connection.status !== "live") return;
      console.log(Object.keys(pipelines).join());
      store.close();
    });`;
  const { stdout: said } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: PACKAGE,
    timeout: 60_000,
  });
  expect(said).toBe("a\n");
});

test("its two entries export what the README names", async () => {
  expect(Object.keys(await built("index"))).toEqual(["createPipelineStore"]);
  expect(Object.keys(await built("react"))).toEqual(["usePipelineStatus"]);
});

test("only the needed files are published", () => {
  const listed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: PACKAGE,
    encoding: "utf8",
  });
  const [{ files }] = JSON.parse(listed) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toContain("dist/index.js");
  expect(paths).toContain("dist/react.d.ts");
  expect(paths).toContain("LICENSE");
  expect(paths.filter((path) => /^(test|node_modules|scripts|examples)\//.test(path))).toEqual([]);
});
