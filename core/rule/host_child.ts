// The rule host's own program: the only place where a rule's code runs. It is bundled and started
// by host.ts in a process without privileges, and obeys the requests on its stdin.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { apiSymbol, ruleApi } from "./rule_api.ts";
import type { Reply, Request } from "./host_message.ts";
import { ruleMark } from "./rule.ts";
import type { Rule } from "./rule.ts";
import { describeThrown } from "./thrown.ts";

Object.assign(globalThis, { [apiSymbol]: ruleApi });

// What a rule prints is for its author: stdout belongs to the replies.
console.log =
  console.info =
  console.debug =
  console.warn =
    console.error;

const rules = new Map<string, readonly Rule[]>();
const ruleBundle = /rule-\d+\.mjs[^:]*:\d+:\d+/;

/** Written at once: whoever kills this process must know whose code it was in. */
function say(reply: Reply): void {
  let bytes: Uint8Array = new TextEncoder().encode(`${JSON.stringify(reply)}\n`);
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

async function load(request: Request & { do: "load" }): Promise<Reply> {
  const module = await import(pathToFileURL(request.bundle).href) as { default?: unknown };
  const exported = module.default;
  const found = Array.isArray(exported) ? exported : [exported];
  if (found.length === 0 || !found.every(isRule)) {
    return {
      say: "failed",
      id: request.id,
      failure: { message: "", at: "", found: describe(exported) },
    };
  }
  rules.set(request.file, found);
  return { say: "rules", id: request.id, rules: found.map(({ data }) => data) };
}

function text(request: Request & { do: "text" }): Reply {
  const make = rules.get(request.file)?.[request.rule]?.texts[request.text];
  if (make === undefined) throw new Error(`the rule has no function ${request.text}`);
  const made = make(request.alert);
  if (typeof made !== "string") throw new TypeError(`${request.text} returned no text`);
  return { say: "text", id: request.id, text: made.slice(0, 5000) };
}

async function answer(request: Request): Promise<void> {
  say({ say: "begin", id: request.id });
  try {
    say(request.do === "load" ? await load(request) : text(request));
  } catch (thrown) {
    say({ say: "failed", id: request.id, failure: describeThrown(thrown, ruleBundle) });
  }
}

say({ say: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  await answer(JSON.parse(line) as Request);
}
