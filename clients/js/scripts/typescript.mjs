// Turns an AsyncAPI document into TypeScript: a type for each schema, and `Events`, which maps the name of each event
// that the service sends to what it carries. What a schema says that has no type here stops the generation.

const KNOWN = new Set([
  ...[
    "$ref",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "oneOf",
    "allOf",
    "enum",
    "const",
  ],
  // What narrows values, but no TypeScript type.
  ...[
    "title",
    "description",
    "examples",
    "default",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
  ],
  ...["exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "uniqueItems"],
]);

const MAX_LENGTH = 100;

/** Return the source of a module; `origin` stands in its first line. */
export function typescript(document, origin) {
  const types = Object.entries(document.components.schemas).map(([name, schema]) => declaration(name, schema));
  const head = `// Generated from ${origin} by \`npm run generate\`: edits are lost.`;
  return [head, ...types, events(document)].join("\n\n") + "\n";
}

function declaration(name, schema) {
  const body = typeOf(schema, "");
  const broken = body.length > MAX_LENGTH ? `\n  | ${body.replaceAll(" | ", "\n  | ")}` : ` ${body}`;
  const declared = body.startsWith("{") ? `export interface ${name} ${body}` : `export type ${name} =${broken};`;
  return comment(schema.description, "") + declared;
}

function events(document) {
  const sent = Object.values(document.operations).filter((operation) => operation.action === "send");
  const messages = sent.flatMap((operation) => operation.messages.map((message) => resolve(document, message)));
  const members = new Map(messages.map(({ name, summary, payload }) => [name, { description: summary, ...payload }]));
  const required = [...members.keys()];
  const description = "Each event's name, and what it carries.";
  return declaration("Events", { description, type: "object", properties: Object.fromEntries(members), required });
}

function resolve(document, node) {
  if (node.$ref === undefined) return node;
  const found = node.$ref
    .slice(2)
    .split("/")
    .reduce((part, key) => part?.[key], document);
  if (found === undefined) throw new Error(`${node.$ref} leads nowhere`);
  return resolve(document, found);
}

function typeOf(schema, indent) {
  const unknown = Object.keys(schema).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw new Error(`there is no type for ${unknown} in ${JSON.stringify(schema)}`);
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const some = schema.anyOf ?? schema.oneOf;
  if (some !== undefined) return some.map((one) => typeOf(one, indent)).join(" | ");
  if (schema.allOf !== undefined) return schema.allOf.map((one) => typeOf(one, indent)).join(" & ");
  if (schema.type === undefined) return "unknown";
  return [schema.type]
    .flat()
    .map((type) => ofType(type, schema, indent))
    .join(" | ");
}

function ofType(type, schema, indent) {
  switch (type) {
    case "integer":
      return "number";
    case "array":
      return `readonly ${grouped(typeOf(schema.items ?? {}, indent))}[]`;
    case "object":
      return object(schema, indent);
    default:
      return type; // string, number, boolean, null
  }
}

function grouped(type) {
  return /[ |&]/.test(type) && !type.startsWith("{") ? `(${type})` : type;
}

function object({ properties = {}, required = [], additionalProperties }, indent) {
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([key, schema]) => {
    const name = /^\w+$/.test(key) ? key : JSON.stringify(key);
    const mark = required.includes(key) ? "" : "?";
    return `${comment(schema.description, inner)}${inner}readonly ${name}${mark}: ${typeOf(schema, inner)};`;
  });
  // `unknown`, since the named members must fit in too.
  const rest =
    lines.length > 0 || additionalProperties === true ? "unknown" : typeOf(additionalProperties || {}, inner);
  if (additionalProperties) lines.push(`${inner}readonly [key: string]: ${rest};`);
  return `{\n${lines.join("\n")}\n${indent}}`;
}

function comment(description, indent) {
  if (description === undefined) return "";
  return `${indent}/** ${description.trim().replace(/\s+/g, " ").replaceAll("*/", "*\\/")} */\n`;
}
