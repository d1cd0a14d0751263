// PagerDuty's Events API v2 for a test: it refuses what the real one refuses, with its status and body
// (docs/events-API-v2 in PagerDuty/developer-docs; the body of a 400 as its users report it).
import * as v from "valibot";
import { Receiver } from "../receiver.ts";

const text = (most: number): v.GenericSchema<unknown, string> =>
  v.pipe(v.string(), v.minLength(1), v.maxLength(most));
const url = v.pipe(v.string(), v.url(), v.startsWith("http"));

export interface PagerdutyEvent {
  readonly routing_key: string;
  readonly event_action: "trigger" | "resolve";
  readonly dedup_key: string;
  readonly payload: {
    readonly summary: string;
    readonly source: string;
    readonly severity: "critical" | "error" | "warning" | "info";
    readonly timestamp?: string | undefined;
    readonly component?: string | undefined;
    readonly group?: string | undefined;
    readonly class?: string | undefined;
    readonly custom_details?: Readonly<Record<string, unknown>> | undefined;
  };
  readonly links?:
    | readonly { readonly href: string; readonly text?: string | undefined }[]
    | undefined;
  readonly client?: string | undefined;
  readonly client_url?: string | undefined;
}

/** What its documents name, and no other member. */
const Event: v.GenericSchema<unknown, PagerdutyEvent> = v.strictObject({
  routing_key: v.pipe(v.string(), v.regex(/^[A-Za-z0-9]{32}$/)),
  event_action: v.picklist(["trigger", "resolve"]),
  dedup_key: text(255),
  payload: v.strictObject({
    summary: text(1024),
    source: text(Infinity),
    severity: v.picklist(["critical", "error", "warning", "info"]),
    timestamp: v.optional(v.pipe(v.string(), v.isoTimestamp())),
    component: v.optional(text(Infinity)),
    group: v.optional(text(Infinity)),
    class: v.optional(text(Infinity)),
    custom_details: v.optional(v.looseObject({})),
  }),
  links: v.optional(v.array(v.strictObject({ href: url, text: v.optional(v.string()) }))),
  client: v.optional(v.string()),
  client_url: v.optional(url),
});

/** One with its address, and what it took. */
export class Pagerduty extends Receiver {
  readonly events: PagerdutyEvent[] = [];
  /** Why it refused what it refused. */
  readonly refused: string[] = [];

  readonly #routingKey: string;

  constructor(routingKey: string) {
    super();
    this.#routingKey = routingKey;
    this.answer = (_, response) => {
      const { method, path, headers, body } = this.received.at(-1)!;
      const [status, answer] = this.#judge(method, path, headers["content-type"], body);
      if (status !== 202) this.refused.push(`${status} ${answer}`);
      response.writeHead(status, { "content-type": "application/json" }).end(answer);
    };
  }

  #judge(
    method: string | undefined,
    path: string | undefined,
    type: string | undefined,
    body: string,
  ): [status: number, answer: string] {
    if (path !== "/v2/enqueue") return [404, `{"status":"not found"}`];
    if (method !== "POST") return [405, ""];
    if (Buffer.byteLength(body) > 512_000) return [413, "Request Entity Too Large"];
    const invalid = (errors: readonly string[]): [number, string] => [
      400,
      JSON.stringify({ status: "invalid event", message: "Event object is invalid", errors }),
    ];
    if (type !== "application/json") return invalid([`content type ${type}`]);
    let json: unknown;
    try {
      json = JSON.parse(body);
    } catch {
      return invalid(["JSON cannot be parsed"]);
    }
    const { success, output, issues } = v.safeParse(Event, json);
    if (!success) {
      return invalid(issues.map((issue) => `'${v.getDotPath(issue)}' ${issue.message}`));
    }
    if (output.routing_key !== this.#routingKey) return invalid(["Invalid routing key"]);
    this.events.push(output);
    const { dedup_key } = output;
    return [202, JSON.stringify({ status: "success", message: "Event processed", dedup_key })];
  }
}
