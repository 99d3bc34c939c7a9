// Writes src/generated/contract.ts from the contract that the service serves at /asyncapi.json.
//
//   node scripts/generate.mjs                        write it
//   node scripts/generate.mjs --check                exit 1 if it is not what would be written
//   node scripts/generate.mjs --from FILE --to FILE  another contract, another place
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { typescript } from "./typescript.mjs";

const ORIGIN = "rag_pipeline/contract/asyncapi.json";
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    from: { type: "string", default: at(`../../../${ORIGIN}`) },
    to: { type: "string", default: at("../src/generated/contract.ts") },
  },
});

const source = typescript(JSON.parse(readFileSync(values.from, "utf8")), ORIGIN);
if (!values.check) {
  writeFileSync(values.to, source);
} else if (readFileSync(values.to, "utf8") !== source) {
  console.error(`${values.to} is not what ${ORIGIN} says: npm run generate`);
  process.exitCode = 1;
}
