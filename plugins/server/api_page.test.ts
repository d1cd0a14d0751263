// docs/api.md is true: each curl line of it is asked of a real server, and each answer shown there fits
// the API's own document.
import { Validator } from "@cfworker/json-schema";
import type { Schema } from "@cfworker/json-schema";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "bun:test";
import { DeliveryError } from "../../core/alert/sink.ts";
import { serve } from "../../test/server.ts";
import { ruleText, until } from "../../test/run.ts";
import { defaultLimits } from "./limit.ts";

const token = "0123456789abcdef-token";
const page = await readFile(fileURLToPath(new URL("../../docs/api.md", import.meta.url)), "utf8");

/** A curl line, and the answer that is shown below it. */
interface Example {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly shown: unknown;
}

function examplesOf(text: string): Example[] {
  return [...text.matchAll(/^```sh\n(curl .*?)\n```\n\n```json\n(.*?)\n```$/gms)].map(
    ([, command = "", shown = ""]) => {
      const line = command.replaceAll("\\\n", " ");
      const headers = [...line.matchAll(/-H "([^:"]+): ([^"]+)"/g)]
        .map(([, name, value]) => [name!, value!.replace("$TOKEN", token)]);
      const body = /-d '([^']+)'/.exec(line)?.[1];
      return {
        method: /-X (\w+)/.exec(line)?.[1] ?? (body === undefined ? "GET" : "POST"),
        path: /"\$SERVER([^"]+)"/.exec(line)![1]!,
        headers: Object.fromEntries(headers),
        body,
        shown: JSON.parse(shown),
      };
    },
  );
}

const examples = examplesOf(page);

test("each curl line of the page is answered by a real server, with what the page shows", async () => {
  expect(examples.length).toBe((page.match(/^curl /gm) ?? []).length);
  expect(examples.length).toBeGreaterThanOrEqual(11);
  const served = await serve({
    token,
    run: {
      files: { "closed.ts": ruleText("ClosedPort") },
      sinks: [{ name: "slack", send: () => Promise.reject(new DeliveryError("answered 503")) }],
    },
  });
  try {
    for (let i = 0; i < 4; i++) {
      await served.run.second([
        [{ reason: "NO_SOCKET", l4: "UDP", dport: "53", dev: "eth0" }, 20],
        [{ reason: "SOCKET_RCVBUFF", dev: "lo" }, 7],
      ]);
    }
    await until(() => served.run.view.outbox().length > 0);
    const { paths, components } = await served.json("/api/v1/openapi.json") as {
      readonly paths: Record<string, Record<string, { responses: Record<string, Content> }>>;
      readonly components: unknown;
    };
    let silence = "";
    for (const { method, path, headers, body, shown } of examples) {
      const real = path.replace("abf20cc377951a7f", served.run.view.alerts()[0]!.fingerprint)
        .replace(/msg_\w+/, served.run.view.outbox()[0]?.id ?? "")
        .replace(/365164a7[\w-]+/, silence);
      const answer = await fetch(served.server.url + real, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      const value = await answer.json() as { readonly id?: string };
      if (method === "POST" && value.id !== undefined) silence ||= value.id;
      const template = Object.keys(paths).find((each) =>
        new RegExp(`^${each.replace(/\{\w+\}/g, "[^/]+")}$`).test(path.split("?")[0]!)
      )!;
      const said = paths[template]![method.toLowerCase()]!.responses[answer.status];
      expect([path, said === undefined]).toEqual([path, false]);
      expect([path, answer.status < 400]).toEqual([
        path,
        !Object.hasOwn(shown as object, "error"),
      ]);
      const { schema } = said!.content["application/json"]!;
      const whole = { ...schema, components } as unknown as Schema;
      const misfits = new Validator(whole, "2020-12", false).validate(shown).errors
        .map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`);
      expect([path, misfits]).toEqual([path, []]);
      // No key of the page is one that the server doesn't have, nor the other way round.
      expect([path, Object.keys(shown as object).sort()]).toEqual([
        path,
        Object.keys(value).sort(),
      ]);
      if (Object.hasOwn(shown as object, "error")) expect(value).toEqual(shown as typeof value);
    }
  } finally {
    await served.stop();
  }
});

interface Content {
  readonly content: Record<string, { readonly schema: object }>;
}

test("the page tells the limits as they are", () => {
  const { connections, connectionsEach, streams, streamsEach, reads, writes, failures } =
    defaultLimits;
  const row = (what: string): string[] =>
    page.split("\n").find((line) => line.startsWith(`| ${what}`))!.split("|").slice(2, -1)
      .map((cell) => cell.trim());
  expect(row("connections")).toEqual([`${connections}`, `${connectionsEach}`]);
  expect(row("streams of events")).toEqual([`${streams}`, `${streamsEach}`]);
  expect(row("requests that read")).toEqual([
    "",
    `${reads.perSecond} a second, ${reads.burst} at once`,
  ]);
  expect(row("requests that change"))
    .toEqual(["", `${writes.perSecond} a second, ${writes.burst} at once`]);
  expect(row("work for requests")).toEqual(["", "a quarter of a core, 5 s at once"]);
  expect(defaultLimits.work).toEqual({ perSecond: 1000 / 4, burst: 5000 });
  expect(row("wrong tokens"))
    .toEqual(["", `${failures.perSecond * 60} a minute, ${failures.burst} at once`]);
  for (
    const said of [
      `${defaultLimits.bodyBytes / 1024} KiB`,
      `${defaultLimits.headerBytes / 1024} KiB`,
      `${defaultLimits.targetLength} characters`,
      `the last ${defaultLimits.ringEvents} events, and ${defaultLimits.ringBytes / 2 ** 20} MiB`,
      `after ${defaultLimits.headerTime / 1000} seconds, all of it after ${
        defaultLimits.requestTime / 1000
      }`,
      `for ${defaultLimits.readTime / 1000} seconds is cut off`,
      `once ${defaultLimits.streamBytes / 2 ** 20} MiB waits`,
      `${defaultLimits.sessions} sessions`,
    ]
  ) expect(page.replaceAll(/\s+/g, " ")).toContain(said);
});
