// The rule host's own program: the only place where a rule's code runs. It is bundled and started
// by host.ts in a process without privileges, and obeys the requests on its stdin.
import { writeSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { apiSymbol, ruleApi } from "./rule_api.ts";
import { longestReply } from "./host_message.ts";
import type { Reply, Request } from "./host_message.ts";
import { plainJson } from "./plain.ts";
import { ruleMark } from "./rule.ts";
import type { Rule } from "./rule.ts";
import { makeText, runCode, runFilter } from "./run.ts";
import { splitLines } from "../lines.ts";
import { describeThrown } from "./thrown.ts";

Object.assign(globalThis, { [apiSymbol]: ruleApi });

// What a rule prints is for its author: stdout belongs to the replies.
console.log =
  console.info =
  console.debug =
  console.warn =
    console.error;

// As they were before any rule ran: one that changes them mustn't read or write what is others'.
const { parse } = JSON;
const later = setImmediate;

const rules = new Map<string, readonly Rule[]>();
const ruleBundle = /rule-\d+\.mjs[^:]*:\d+:\d+/;

/** On a line of its own, whatever a rule has printed. */
function say(reply: Reply): void {
  const text = plainJson(reply);
  if (text.length > longestReply && "token" in reply) {
    const message = `${text.length} characters of data: a rule may have ${longestReply}`;
    return say({ say: "failed", token: reply.token, failure: { message, at: "" } });
  }
  let bytes: Uint8Array = new TextEncoder().encode(`\n${text}\n`);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== "EAGAIN") throw thrown;
    }
  }
}

function isRule(value: unknown): value is Rule {
  return typeof value === "object" && value !== null && ruleMark in value;
}

function describe(value: unknown): string {
  if (value === undefined) return "no default export";
  if (Array.isArray(value)) return "an array that holds something else";
  return value === null ? "null" : `a value of type ${typeof value}`;
}

async function load({ token, bundle, path }: Request & { do: "load" }): Promise<Reply> {
  const module = await import(pathToFileURL(path).href) as { default?: unknown };
  const exported = module.default;
  const found = Array.isArray(exported) ? exported : [exported];
  if (found.length === 0 || !found.every(isRule)) {
    return { say: "failed", token, failure: { message: "", at: "", found: describe(exported) } };
  }
  rules.set(bundle, found);
  return { say: "rules", token, rules: found.map(({ data }) => data) };
}

async function answer(request: Request): Promise<Reply> {
  const { token } = request;
  const rule = "rule" in request ? rules.get(request.bundle)?.[request.rule] : undefined;
  switch (request.do) {
    case "load":
      return await load(request);
    case "forget":
      rules.delete(request.bundle);
      return { say: "done", token };
    case "text":
      return { say: "text", token, text: makeText(rule, request.text, request.alert) };
    case "filter": {
      const kept = runFilter(rule, request.filter, request.fields, request.values);
      return { say: "kept", token, kept: kept.map((keep) => keep ? "1" : "0").join("") };
    }
    case "run":
      return { say: "ran", token, results: runCode(rule, request.run, ruleBundle) };
  }
}

async function reply(request: Request): Promise<void> {
  let said: Reply;
  try {
    said = await answer(request);
  } catch (thrown) {
    said = {
      say: "failed",
      token: request.token,
      failure: describeThrown(thrown, ruleBundle),
    };
  }
  // What the code left to be done at once is still its own: if that doesn't end, there is no answer.
  await new Promise<void>((resolve) => later(resolve));
  say(said);
}

// What a rule left running and nobody waits for is the rule's own loss.
const stray = (thrown: unknown): void =>
  console.error(`a rule left behind what failed: ${describeThrown(thrown, ruleBundle).message}`);
process.on("unhandledRejection", stray);
process.on("uncaughtException", stray);

say({ say: "ready" });
const pending: Request[] = [];
let working: Promise<void> | undefined;
void splitLines(process.stdin, (line) => {
  pending.push(parse(line) as Request);
  working ??= work();
}).then(() => process.exit());

async function work(): Promise<void> {
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) await reply(next);
  working = undefined;
}
