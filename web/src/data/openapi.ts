import { type Client, segment } from "./client.ts";

/** An OpenAPI 3.1 document, as far as the page reads it. */
export interface OpenApi {
  readonly info: { readonly title: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
  /** Of the server's own document: names of the others. */
  readonly "x-protocols"?: readonly string[];
}

export interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: Readonly<Record<string, Media>> }>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

interface Media {
  readonly schema?: Schema;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly description?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

/** Read the document of the server's own routes, or of a protocol's. */
export async function openApiOf(client: Client, protocol: string, signal: AbortSignal): Promise<OpenApi> {
  const path = protocol === "" ? "/api/v1/openapi.json" : `/api/v1/openapi/${segment(protocol)}.json`;
  return client.json<OpenApi>(path, { signal });
}

/** One thing that can be done, with where it stands. */
export interface Route {
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

const METHODS = ["get", "post", "put", "patch", "delete", "head"];

/** Return the routes of a document that a search finds, by their first tag. Pure. */
export function routesByTag(document: OpenApi, search: string): ReadonlyMap<string, readonly Route[]> {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found = new Map<string, Route[]>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation === undefined) continue;
      const text = `${method} ${path} ${operation.summary ?? ""} ${(operation.tags ?? []).join(" ")}`.toLowerCase();
      if (!words.every((word) => text.includes(word))) continue;
      const tag = operation.tags?.[0] ?? "other";
      const routes = found.get(tag) ?? [];
      routes.push({ key: `${method} ${path}`, method: method.toUpperCase(), path, operation });
      found.set(tag, routes);
    }
  }
  return found;
}

/** Write a type in one line, as TypeScript would: names of other schemas stay names. Pure. */
export function typeText(schema: Schema | undefined, depth = 0): string {
  if (schema === undefined) return "anything";
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "anything";
  if (depth > MOST_DEPTH) return "…";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const parts = schema.anyOf ?? schema.oneOf;
  if (parts !== undefined) return [...new Set(parts.map((one) => typeText(one, depth + 1)))].join(" | ");
  if (schema.allOf !== undefined) return schema.allOf.map((one) => typeText(one, depth + 1)).join(" & ");
  const type = [schema.type ?? "anything"].flat().join(" | ");
  if (type === "array") return `list of ${typeText(schema.items, depth + 1)}`;
  if (type === "object" && typeof schema.additionalProperties === "object") {
    return `object of ${typeText(schema.additionalProperties, depth + 1)}`;
  }
  return schema.format === undefined ? type : `${type} (${schema.format})`;
}

const MOST_DEPTH = 6;

/** Return the schema that a reference names, or the schema itself. Pure. */
export function resolved(document: OpenApi, schema: Schema | undefined): Schema | undefined {
  const name = schema?.$ref?.split("/").at(-1);
  return name === undefined ? schema : document.components?.schemas?.[name];
}

/** Write the request as a line for a terminal: with the example of the document where it has one. Pure. */
export function curlOf(origin: string, route: Route, hasKey: boolean): string {
  const parts = [`curl ${quotedForShell(origin + route.path)}`];
  if (route.method !== "GET") parts.push(`-X ${route.method}`);
  if (hasKey) parts.push('-H "Authorization: Bearer $RUNSTREAM_API_KEY"');
  const json = route.operation.requestBody?.content["application/json"];
  if (json !== undefined) {
    const [example] = Object.values(json.examples ?? {});
    parts.push('-H "Content-Type: application/json"', `-d ${quotedForShell(JSON.stringify(example?.value ?? {}))}`);
  }
  return parts.join(" \\\n  ");
}

function quotedForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
