// Stands for Slack: an incoming webhook and the methods of its API that a bot needs. It keeps what is
// posted, and refuses what Slack refuses, in Slack's words.
// https://docs.slack.dev/reference/block-kit/blocks
// https://docs.slack.dev/reference/methods/chat.postMessage
// https://docs.slack.dev/messaging/working-with-files
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Json = Record<string, unknown>;

export interface SlackMessage {
  readonly channel: string;
  readonly ts: string;
  /** Of the message that it answers. */
  readonly thread: string | undefined;
  /** A reply that the channel sees too. */
  readonly broadcast: boolean;
  /** As it was posted, or last updated. */
  body: Json;
  updates: number;
}

export interface SlackFile {
  readonly id: string;
  readonly name: string;
  readonly length: number;
  bytes: Uint8Array | undefined;
  /** Where it was shared: `channel/ts`. */
  shared: string | undefined;
}

interface Fault {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: string | Json;
}

const maxBody = 1_000_000;

export class Slack {
  readonly token = "xoxb-1234-abcdef-s3cret";
  /** Names of the channels that the bot is in, and their IDs. */
  readonly channels: Record<string, string> = { drops: "C0123456789" };
  /** Each call: what was called, with what. */
  readonly calls: { readonly method: string; readonly body: Json; readonly text: string }[] = [];
  readonly messages: SlackMessage[] = [];
  readonly files: SlackFile[] = [];
  /** What was refused, and why. */
  readonly refused: string[] = [];
  readonly #faults: Record<string, Fault[]> = {};
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const parts: Uint8Array[] = [];
      for await (const part of request) parts.push(part);
      this.#answer(request, response, Buffer.concat(parts));
    });
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  url(path = "/services/T0/B0/s3cret"): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  get api(): string {
    return this.url("/api/");
  }

  /** The next calls of a method (`webhook`, `chat.update`, `upload`) are answered so. */
  fault(method: string, ...answers: readonly (Fault | string)[]): void {
    (this.#faults[method] ??= []).push(
      ...answers.map((answer) =>
        typeof answer === "string" ? { body: { ok: false, error: answer } } : answer
      ),
    );
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
    const { pathname } = new URL(request.url ?? "/", "http://x.example/");
    const method = pathname.startsWith("/services/")
      ? "webhook"
      : pathname.startsWith("/upload/")
      ? "upload"
      : pathname.replace(/^\/api\//, "");
    const text = method === "upload" ? "" : bytes.toString();
    const type = request.headers["content-type"] ?? "";
    const body = bodyOf(type, text);
    this.calls.push({ method, body: body ?? {}, text });
    const fault = this.#faults[method]?.shift();
    const { status = 200, headers = {}, body: answer } = fault ??
      this.#result(method, pathname, request, body, bytes);
    if (fault === undefined && refusalIn(answer) !== undefined) {
      this.refused.push(`${method}: ${refusalIn(answer)}`);
    }
    response.writeHead(status, headers).end(
      typeof answer === "string" ? answer : JSON.stringify(answer),
    );
  }

  #result(
    method: string,
    path: string,
    request: IncomingMessage,
    body: Json | undefined,
    bytes: Buffer,
  ): Fault {
    if (request.method !== "POST") return no("method_not_supported");
    if (method === "webhook") {
      if (body === undefined) return { status: 400, body: "invalid_payload" };
      const wrong = wrongIn(body);
      return wrong === undefined ? { body: "ok" } : { status: 400, body: wrong };
    }
    if (method === "upload") return this.#upload(path, bytes);
    const token = request.headers.authorization;
    if (token === undefined) return no("not_authed");
    if (token !== `Bearer ${this.token}`) return no("invalid_auth");
    if (body === undefined) return no("invalid_json");
    switch (method) {
      case "chat.postMessage":
        return this.#post(body);
      case "chat.update":
        return this.#update(body);
      case "files.getUploadURLExternal":
        return this.#place(request, body);
      case "files.completeUploadExternal":
        return this.#share(body);
      default:
        return no("unknown_method");
    }
  }

  #post(body: Json): Fault {
    const named = String(body["channel"]);
    const channel = Object.values(this.channels).find((id) => id === named) ??
      this.channels[named.replace(/^#/, "")];
    if (channel === undefined) return no("channel_not_found");
    const wrong = wrongIn(body);
    if (wrong !== undefined) return no(wrong);
    const thread = body["thread_ts"];
    // A reply to a reply isn't told apart by Slack, and loses its thread.
    if (thread !== undefined && !this.messages.some((m) => m.ts === thread && !m.thread)) {
      return no("thread_not_found");
    }
    const ts = `17673${String(this.messages.length).padStart(5, "0")}.000100`;
    const broadcast = body["reply_broadcast"] === true;
    this.messages.push({
      channel,
      ts,
      thread: thread as string | undefined,
      broadcast,
      body,
      updates: 0,
    });
    return { body: { ok: true, channel, ts, message: {} } };
  }

  #update(body: Json): Fault {
    // Unlike posting, it takes no names.
    if (!Object.values(this.channels).includes(String(body["channel"]))) {
      return no("channel_not_found");
    }
    const message = this.messages.find(({ channel, ts }) =>
      channel === body["channel"] && ts === body["ts"]
    );
    if (message === undefined) return no("message_not_found");
    const wrong = wrongIn(body);
    if (wrong !== undefined) return no(wrong);
    message.body = body;
    message.updates++;
    return { body: { ok: true, channel: message.channel, ts: message.ts, text: "" } };
  }

  #place(request: IncomingMessage, body: Json): Fault {
    const form = request.headers["content-type"] === "application/x-www-form-urlencoded";
    const [name, length] = [body["filename"], Number(body["length"])];
    if (!form || typeof name !== "string" || name === "" || !(length > 0)) {
      return no("invalid_arguments");
    }
    if (String(body["alt_txt"] ?? "").length > 1000) return no("alt_txt_too_large");
    const id = `F00${this.files.length}`;
    this.files.push({ id, name, length, bytes: undefined, shared: undefined });
    return { body: { ok: true, upload_url: this.url(`/upload/${id}?sig=upl0ad`), file_id: id } };
  }

  #upload(path: string, bytes: Buffer): Fault {
    const file = this.files.find(({ id }) => path === `/upload/${id}`);
    if (file === undefined) return { status: 404, body: "not found" };
    if (bytes.length !== file.length) return { status: 400, body: "of another length" };
    file.bytes = bytes;
    return { body: `OK - ${bytes.length}` };
  }

  #share(body: Json): Fault {
    const files = body["files"] as { id: string; title?: unknown }[];
    const [channel, thread] = [String(body["channel_id"]), body["thread_ts"]];
    if (!Object.values(this.channels).includes(channel)) return no("channel_not_found");
    if (!this.messages.some(({ ts }) => ts === thread)) return no("invalid_thread_ts");
    for (const { id, title } of files) {
      const file = this.files.find((each) => each.id === id);
      if (file?.bytes === undefined || typeof title !== "string") return no("file_not_found");
      file.shared = `${channel}/${thread}`;
    }
    return { body: { ok: true, files } };
  }
}

const no = (error: string): Fault => ({ body: { ok: false, error } });

function refusalIn(answer: string | Json): string | undefined {
  if (typeof answer === "string") return /^(ok|OK - \d+)$/.test(answer) ? undefined : answer;
  return answer["ok"] === true ? undefined : String(answer["error"]);
}

function bodyOf(type: string, text: string): Json | undefined {
  if (type === "application/x-www-form-urlencoded") {
    return Object.fromEntries(new URLSearchParams(text));
  }
  if (!/^application\/json; ?charset=utf-8$/.test(type) || text.length > maxBody) return undefined;
  // Half a character is no JSON for most parsers.
  if (/\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f]/i.test(text)) {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What of a message Slack would refuse, in its own word. */
export function wrongIn(body: Json): string | undefined {
  const { text, blocks = [], attachments = [] } = body as {
    text?: unknown;
    blocks?: Json[];
    attachments?: { color?: unknown; blocks?: Json[] }[];
  };
  if (typeof text !== "string" || text === "") return "no_text";
  if (text.length > 40_000) return "msg_too_long";
  if (attachments.length > 100) return "too_many_attachments";
  for (const { color, blocks: inside = [] } of attachments) {
    if (!/^#[0-9a-f]{6}$/.test(String(color)) || inside.length === 0) return "invalid_attachments";
  }
  const all = [...blocks, ...attachments.flatMap(({ blocks: inside = [] }) => inside)];
  if (all.length > 50 || all.some((block) => !isBlock(block))) return "invalid_blocks";
  // slackapi/bolt-js#2509
  if (JSON.stringify(all).length > 13_000) return "msg_blocks_too_long";
  return undefined;
}

const keysOf = (value: Json, ...keys: readonly string[]): boolean =>
  Object.keys(value).every((key) => keys.includes(key));

function isBlock(block: Json): boolean {
  switch (block["type"]) {
    case "header":
      return keysOf(block, "type", "text") && isText(block["text"], 150, ["plain_text"]);
    case "section": {
      const { text, fields } = block as { text?: unknown; fields?: unknown[] };
      if (!keysOf(block, "type", "text", "fields")) return false;
      if (text === undefined && fields === undefined) return false;
      if (text !== undefined && !isText(text, 3000)) return false;
      return fields === undefined ||
        fields.length >= 1 && fields.length <= 10 && fields.every((field) => isText(field, 2000));
    }
    case "context": {
      const { elements } = block as { elements: unknown[] };
      return keysOf(block, "type", "elements") && elements.length >= 1 && elements.length <= 10 &&
        elements.every((element) => isText(element, 3000));
    }
    default:
      return false;
  }
}

function isText(value: unknown, most: number, types = ["plain_text", "mrkdwn"]): boolean {
  const { type, text, ...rest } = value as Json;
  return types.includes(String(type)) && typeof text === "string" && text.trim() !== "" &&
    text.length <= most && keysOf(rest, type === "mrkdwn" ? "verbatim" : "emoji");
}
