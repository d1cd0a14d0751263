// The parameters of a path and a query: from text to what they mean, each by a schema.
import * as v from "valibot";
import { badParameter, quote, unknownParameter } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { fieldNames } from "../../core/drop/field.ts";
import type { HistoryLabel } from "../../core/view/view.ts";
import type { Schema } from "./schema.ts";

/** One parameter. */
export interface Parameter<T = unknown> {
  readonly in: "path" | "query";
  readonly doc: string;
  /** How the text is read before the schema is asked: `list` is `a,b`, `many` may be there again and again. */
  readonly form: "text" | "number" | "list" | "many";
  /** Of what was read; undefined where it isn't there. */
  readonly schema: Schema<T>;
}

export type Parameters = Readonly<Record<string, Parameter>>;

/** What parameters stand for once they are read. */
export type Values<P extends Parameters> = {
  readonly [N in keyof P]: P[N] extends Parameter<infer T> ? T : never;
};

/** More of one parameter than anybody needs. */
const most = 100;
const label = v.pipe(v.string(), v.maxLength(1000));

/** `where.FIELD` and `null.FIELD` of every field. */
export const filters: Parameters = Object.fromEntries(
  fieldNames.flatMap((name): [string, Parameter][] => [
    [`where.${name}`, {
      in: "query",
      doc: `Only drops whose ${name} is this; given more than once: any of these`,
      form: "many",
      schema: v.optional(v.pipe(v.array(label), v.maxLength(most)), []),
    }],
    [`null.${name}`, {
      in: "query",
      doc: `1: drops whose ${name} isn't told apart, because there were too many keys; ` +
        `beside where.${name}: these too`,
      form: "text",
      schema: v.optional(v.literal("1", "expected 1")),
    }],
  ]),
);

/**
 * Reads the parameters of a request. `path` holds those of the path.
 *
 * @throws DropwatchError UNKNOWN_PARAMETER, BAD_PARAMETER.
 */
export function readParameters(
  parameters: Parameters,
  path: Readonly<Record<string, string>>,
  query: URLSearchParams,
): Readonly<Record<string, unknown>> {
  const known = Object.entries(parameters);
  const asked = known.filter(([, each]) => each.in === "query").map(([name]) => name);
  for (const name of query.keys()) {
    if (!asked.includes(name)) throw unknownParameter(name, nearest(name, asked));
  }
  return Object.fromEntries(known.map(([name, parameter]) => {
    const given = parameter.in === "path" ? [path[name] ?? ""] : query.getAll(name);
    return [name, readParameter(name, parameter, given)];
  }));
}

function readParameter(name: string, { form, schema }: Parameter, given: string[]): unknown {
  if (form !== "many" && given.length > 1) {
    throw badParameter(name, given[1], "it is there more than once");
  }
  const [text] = given;
  const value = text === undefined
    ? undefined
    : form === "many"
    ? given
    : form === "list"
    ? text.split(",")
    : form === "number" && /^-?\d+(\.\d+)?$/.test(text)
    ? Number(text)
    : text;
  const read = v.safeParse(schema, value);
  if (read.success) return read.output;
  throw badParameter(name, form === "many" ? given : text ?? "", problemsOf(read.issues));
}

/** The labels that are asked for, of what `filters` were read as. */
export function whereOf(
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, readonly HistoryLabel[]>> {
  const where: Record<string, readonly HistoryLabel[]> = {};
  for (const name of fieldNames) {
    const labels: HistoryLabel[] = [...values[`where.${name}`] as readonly string[]];
    if (values[`null.${name}`] !== undefined) labels.push(null);
    if (labels.length > 0) where[name] = labels;
  }
  return where;
}

/** What is wrong, as valibot found it, the first three of it. */
export function problemsOf(issues: readonly v.BaseIssue<unknown>[]): string {
  const problems = issues.map((issue) => {
    const path = v.getDotPath(issue);
    return path === null ? problemOf(issue) : `${path}: ${problemOf(issue)}`;
  });
  return [...new Set(problems)].slice(0, 3).join("; ");
}

/** Names are many: those that look like what was given say more than all. */
function problemOf(issue: v.BaseIssue<unknown>): string {
  if (issue.type !== "picklist") return issue.message;
  const names = (issue.expected ?? "").match(/"[^"]*"/g)?.map((name) => name.slice(1, -1)) ?? [];
  const near = nearest(String(issue.input), names);
  return `there is no ${quote(issue.input)}; ` +
    (near.length > 0 ? `nearest: ${near.join(", ")}` : `expected ${names.join(", ")}`);
}
