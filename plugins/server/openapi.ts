// The document of the API, made of the same table as its routes.
import { toJsonSchema, toJsonSchemaDefs } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { version } from "../../core/version.ts";
import { filters } from "./parameter.ts";
import type { Parameter, Parameters } from "./parameter.ts";
import type { Content, Route } from "./route.ts";
import * as schemas from "./schema.ts";
import type { Schema } from "./schema.ts";

/** Part of a document: JSON. */
type Json = Record<string, unknown>;

const named: Record<string, v.GenericSchema> = Object.fromEntries(
  Object.entries(schemas)
    .filter(([name]) => name.endsWith("Schema"))
    .map(([name, schema]) => [name.slice(0, -"Schema".length), schema as v.GenericSchema]),
);

const config = {
  target: "draft-2020-12",
  // What a schema does to a value, and checks that no JSON Schema can say, are left out.
  typeMode: "input",
  errorMode: "ignore",
  overrideRef: ({ referenceId }: { readonly referenceId: string }) =>
    `#/components/schemas/${referenceId}`,
} as const;

function jsonSchema(schema: Schema): Json {
  const { $schema: _, $defs: __, ...rest } = toJsonSchema(schema as v.GenericSchema, {
    ...config,
    definitions: named,
  }) as Json;
  return rest;
}

/**
 * The OpenAPI 3.1 document of a table of routes. Paths, parameters, bodies and answers are those that
 * the server itself goes by.
 */
export function openApiDocument(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route);
  }
  const defs = toJsonSchemaDefs(named, config) as Record<string, Json>;
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "dropwatch",
      version,
      summary: "Drops of packets in the kernel of a machine, why, and the alerts of them",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ token: [] }, { session: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(
        Object.entries(defs).map(([name, { $schema: _, $defs: __, ...schema }]) => [name, schema]),
      ),
      parameters: Object.fromEntries(
        Object.entries(filters).map(([name, parameter]) => [name, parameterOf(name, parameter)]),
      ),
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        session: {
          type: "apiKey",
          in: "cookie",
          name: "dropwatch_ID",
          description: "What POST /login sets; its name ends in a number of the server",
        },
      },
    },
  };
}

function operationOf(route: Route): Json {
  const { id, summary, access, needsView, parameters, filtered, body, answers } = route;
  const own: Json[] = Object.entries(parameters).map(([name, each]) => parameterOf(name, each));
  const shared = filtered
    ? Object.keys(filters).map((name) => ({ $ref: `#/components/parameters/${name}` }))
    : [];
  return {
    operationId: id,
    summary,
    ...(access === "open" ? { security: [] } : {}),
    ...(own.length + shared.length === 0 ? {} : { parameters: [...own, ...shared] }),
    ...(body === undefined ? {} : {
      requestBody: {
        required: true,
        content: { "application/json": { schema: jsonSchema(body) } },
      },
    }),
    responses: {
      ...refusalsOf({ access, needsView, parameters, filtered, hasBody: body !== undefined }),
      ...Object.fromEntries(
        Object.entries(answers).map(([status, content]) => [status, answerOf(status, content)]),
      ),
    },
  };
}

function parameterOf(name: string, parameter: Parameter): Json {
  const { in: where, doc, form, schema } = parameter;
  return {
    name,
    in: where,
    description: doc,
    ...(where === "path" ? { required: true } : {}),
    ...(form === "list" ? { style: "form", explode: false } : {}),
    schema: jsonSchema(schema),
  };
}

/** What every route of a kind may answer. */
function refusalsOf(
  { access, needsView, parameters, filtered, hasBody }:
    & Pick<Route, "access" | "needsView" | "filtered">
    & { readonly parameters: Parameters; readonly hasBody: boolean },
): Json {
  const takes = filtered || hasBody || Object.keys(parameters).length > 0;
  const docs: Record<string, string | undefined> = {
    400: takes ? "Something of what was asked can't be used" : "There are no parameters",
    401: access === "token" || hasBody ? "The token is missing, or another one" : undefined,
    403: "The host, or the origin of the page that asks, isn't the server's",
    413: hasBody ? "It is too large" : undefined,
    415: hasBody ? "It isn't JSON" : undefined,
    429: "That address asks too often",
    503: needsView ? "Nothing is watched yet" : undefined,
  };
  return Object.fromEntries(
    Object.entries(docs).flatMap(([status, doc]) =>
      doc === undefined ? [] : [[status, answerOf(status, { doc })]]
    ),
  );
}

function answerOf(status: string, { doc, type, schema }: Content): Json {
  const isProblem = Number(status) >= 400 && type === undefined;
  if (isProblem) {
    return {
      description: doc,
      content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
    };
  }
  return {
    description: doc,
    ...(type === undefined ? {} : {
      content: { [type]: schema === undefined ? {} : { schema: jsonSchema(schema) } },
    }),
  };
}
