// An ntfy server for a test: publishing as JSON, with the limits and answers of the real one
// (server/server.go, server/actions.go and server/errors.go of binwiederhier/ntfy): a message of 4096
// bytes or more becomes an attachment, which a server without a store for them refuses, and the JSON may
// have twice as much.
import * as v from "valibot";
import { Receiver } from "../receiver.ts";

export interface NtfyPublished {
  readonly topic: string;
  readonly title?: string | undefined;
  readonly message: string;
  readonly priority?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly click?: string | undefined;
  readonly actions?:
    | readonly { readonly action: string; readonly label: string; readonly url: string }[]
    | undefined;
}

const url = v.pipe(v.string(), v.url(), v.regex(/^https?:\/\//));

const Published: v.GenericSchema<unknown, NtfyPublished> = v.strictObject({
  topic: v.string(),
  title: v.optional(v.string()),
  message: v.string(),
  priority: v.optional(v.pipe(v.number(), v.integer())),
  tags: v.optional(v.array(v.string())),
  click: v.optional(url),
  actions: v.optional(v.array(v.strictObject({
    action: v.picklist(["view"]),
    label: v.pipe(v.string(), v.minLength(1)),
    url,
  }))),
});

const limit = 4096;

/** One with its address, and what was published. */
export class Ntfy extends Receiver {
  readonly published: NtfyPublished[] = [];
  /** Why it refused what it refused. */
  readonly refused: string[] = [];
  readonly #token: string | undefined;

  constructor(token?: string) {
    super();
    this.#token = token;
    this.answer = (_, response) => {
      const [http, code, error] = this.#judge();
      if (http !== 200) this.refused.push(`${code} ${error}`);
      response.writeHead(http, { "content-type": "application/json" })
        .end(JSON.stringify(http === 200 ? { id: "x", event: "message" } : { code, http, error }));
    };
  }

  #judge(): [http: number, code: number, error: string] {
    const { method, path, headers, body } = this.received.at(-1)!;
    if (path !== "/" || !["POST", "PUT"].includes(method ?? "")) {
      return [404, 40401, "page not found"];
    }
    if (Buffer.byteLength(body) > 2 * limit) return [413, 41303, "JSON body too large"];
    const notJson = "invalid request: request body must be message JSON";
    let json: unknown;
    try {
      json = JSON.parse(body);
    } catch {
      return [400, 40017, notJson];
    }
    const { success, output, issues } = v.safeParse(Published, json);
    if (!success) return [400, 40017, `${notJson} (${v.getDotPath(issues[0])})`];
    const { topic, title = "", message, priority = 3, actions = [] } = output;
    if (!/^[-_A-Za-z0-9]{1,64}$/.test(topic)) return [400, 40009, "invalid request: topic invalid"];
    if (this.#token !== undefined && headers.authorization !== `Bearer ${this.#token}`) {
      return [403, 40301, "forbidden"];
    }
    if (priority < 1 || priority > 5) return [400, 40007, "invalid priority parameter"];
    if (actions.length > 3) return [400, 40018, "invalid request: actions invalid"];
    if (!message.isWellFormed() || !title.isWellFormed()) {
      return [400, 40011, "invalid message: message must be UTF-8 encoded"];
    }
    if (Buffer.byteLength(message) >= limit) {
      return [400, 40014, "invalid request: attachments not allowed"];
    }
    this.published.push(output);
    return [200, 0, ""];
  }
}
