// Telegram's Bot API for a test: sendMessage as far as a sink uses it. It answers as the real one
// (core.telegram.org/bots/api; the descriptions of errors are tdlib's), and finds in a text what
// Telegram's own clients would make a link of, as tdlib does (find_entities in MessageEntity.cpp): all
// but what lies in an entity that is code, pre or a link already.
import * as v from "valibot";
import { Receiver } from "../receiver.ts";

export interface TelegramMessage {
  readonly chat_id: number | string;
  readonly message_thread_id?: number | undefined;
  readonly text: string;
  readonly entities?:
    | readonly {
      readonly type: string;
      readonly offset: number;
      readonly length: number;
      readonly url?: string | undefined;
    }[]
    | undefined;
  readonly link_preview_options?: { readonly is_disabled?: boolean | undefined } | undefined;
  readonly reply_parameters?:
    | {
      readonly message_id: number;
      readonly allow_sending_without_reply?: boolean | undefined;
    }
    | undefined;
}

const whole = v.pipe(v.number(), v.integer());

const Message: v.GenericSchema<unknown, TelegramMessage> = v.strictObject({
  chat_id: v.union([whole, v.string()]),
  message_thread_id: v.optional(whole),
  text: v.string(),
  entities: v.optional(v.array(v.strictObject({
    type: v.picklist(["bold", "code", "pre", "text_link"]),
    offset: v.pipe(whole, v.minValue(0)),
    length: v.pipe(whole, v.minValue(1)),
    url: v.optional(v.string()),
  }))),
  link_preview_options: v.optional(v.strictObject({ is_disabled: v.optional(v.boolean()) })),
  reply_parameters: v.optional(v.strictObject({
    message_id: whole,
    allow_sending_without_reply: v.optional(v.boolean()),
  })),
});

const maxEntities = 100;

/** What of a text lies open: not in code, in pre, or in a link of the sender's. */
export function openText({ text, entities = [] }: TelegramMessage): string {
  // What is more than a hundred is passed over.
  return entities.slice(0, maxEntities).filter(({ type }) => type !== "bold")
    .reduce(
      (rest, { offset, length }) =>
        rest.slice(0, offset) + "\0".repeat(length) + rest.slice(offset + length),
      text,
    );
}

const found = [
  /@[A-Za-z0-9_]{2,}/g,
  /#[\p{L}\p{N}_]+/gu,
  /\$[A-Z0-9]+/g,
  /\/[A-Za-z0-9_]+/g,
  /[a-z][a-z0-9+.-]*:\/\/[^\s\0]+/gi,
  /[^\s\0@]+@[^\s\0@]+/g,
  /[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+/gu,
  /\d{1,2}:\d\d/g,
  /\+?\d[\d -]{6,}/g,
];

/** Mentions, hashtags, commands, links and numbers that Telegram finds by itself. */
export function foundIn(message: TelegramMessage): string[] {
  const open = openText(message);
  return found.flatMap((pattern) => open.match(pattern) ?? []);
}

/** One with its address, and the messages that it took. */
export class Telegram extends Receiver {
  readonly messages: TelegramMessage[] = [];
  /** Why it refused what it refused. */
  readonly refused: string[] = [];
  readonly #token: string;
  readonly #chats: readonly (number | string)[];

  constructor(token: string, chats: readonly (number | string)[]) {
    super();
    this.#token = token;
    this.#chats = chats;
    this.answer = (_, response) => {
      const [status, body] = this.#judge();
      if (status !== 200) this.refused.push(`${status} ${JSON.stringify(body)}`);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
  }

  #judge(): [status: number, body: object] {
    const { method, path = "", headers, body } = this.received.at(-1)!;
    const refuse = (status: number, description: string): [number, object] => [
      status,
      { ok: false, error_code: status, description },
    ];
    const bad = (why: string): [number, object] => refuse(400, `Bad Request: ${why}`);
    const token = /^\/bot([^/]+)\/sendMessage$/.exec(path)?.[1];
    if (token === undefined) return refuse(404, "Not Found");
    if (token !== this.#token) return refuse(401, "Unauthorized");
    if (method !== "POST" || headers["content-type"] !== "application/json") {
      return bad("message text is empty");
    }
    let json: unknown;
    try {
      json = JSON.parse(body);
    } catch {
      return bad("can't parse request: JSON");
    }
    const { success, output: message, issues } = v.safeParse(Message, json);
    if (!success) return bad(`can't parse ${v.getDotPath(issues[0])}: ${issues[0].message}`);
    const { chat_id, text, entities = [], reply_parameters: reply } = message;
    if (!this.#chats.includes(chat_id)) return bad("chat not found");
    if (!text.isWellFormed()) return bad("strings must be encoded in UTF-8");
    if (text.trim() === "") return bad("message text is empty");
    if (text.length > 4096) return bad("message is too long");
    // The ends of a text are trimmed, and entities would no longer fit.
    if (text !== text.trim()) return bad("text begins or ends with white space");
    for (const { type, offset, length, url } of entities) {
      const inside = (at: number): boolean => /[\udc00-\udfff]/.test(text[at] ?? "");
      if (offset + length > text.length) {
        return bad(
          `entity beginning at UTF-16 offset ${offset} ends after the end of the text at UTF-16 ` +
            `offset ${offset + length}`,
        );
      }
      if (inside(offset)) return bad("entity begins in a middle of a UTF-16 symbol");
      if (inside(offset + length)) return bad("entity ends in a middle of a UTF-16 symbol");
      if (type === "text_link" && !/^https?:\/\//.test(url ?? "")) return bad("wrong HTTP URL");
      if (text.slice(offset, offset + length).trim() === "") return bad("an entity is empty");
    }
    const known = reply !== undefined && reply.message_id <= this.messages.length;
    if (reply !== undefined && !known && reply.allow_sending_without_reply !== true) {
      return bad("message to be replied not found");
    }
    this.messages.push(message);
    const result = { message_id: this.messages.length, date: 1, chat: { id: chat_id }, text };
    return [200, { ok: true, result }];
  }
}
