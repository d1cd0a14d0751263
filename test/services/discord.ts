// Stands for Discord's webhooks: it keeps what is posted, and refuses what Discord refuses.
// https://discord.com/developers/docs/resources/webhook#execute-webhook
// https://discord.com/developers/docs/resources/message#embed-object-embed-limits
import { Receiver } from "../receiver.ts";

export interface DiscordMessage {
  readonly content: string;
  readonly embeds: readonly {
    readonly color: number;
    readonly title?: string;
    readonly description?: string;
    readonly fields?: readonly { name: string; value: string; inline?: boolean }[];
    readonly footer?: { readonly text: string };
  }[];
  readonly allowed_mentions: unknown;
}

export class Discord {
  readonly messages: DiscordMessage[] = [];
  readonly refused: string[] = [];
  readonly receiver: Receiver = new Receiver();

  async open(): Promise<void> {
    this.receiver.answer = (request, response) => {
      const { body } = this.receiver.received.at(-1)!;
      const wrong = wrongIn(request.headers["content-type"], body);
      if (wrong !== undefined) {
        this.refused.push(wrong);
        const answer = { message: "Invalid Form Body", code: 50035, errors: { [wrong]: {} } };
        response.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(answer));
        return;
      }
      this.messages.push(JSON.parse(body));
      const waits = new URL(request.url!, "http://x.example/").searchParams.get("wait") === "true";
      response.writeHead(waits ? 200 : 204).end(waits ? '{"id":"1"}' : "");
    };
    await this.receiver.open();
  }

  url(path = "/api/webhooks/123/s3cret-token"): string {
    return this.receiver.url(path);
  }

  close(): Promise<void> {
    return this.receiver.close();
  }
}

/** What of a message Discord would refuse. */
function wrongIn(type: string | undefined, text: string): string | undefined {
  if (type !== "application/json") return "content-type";
  if (/\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f]/i.test(text)) {
    return "half a character";
  }
  const { content, embeds } = JSON.parse(text) as DiscordMessage;
  const bad = (value: string | undefined, most: number, needed = false): boolean =>
    value === undefined ? needed : value.trim() === "" || value.length > most;
  if (bad(content, 2000)) return "content";
  if (embeds.length === 0 || embeds.length > 10) return "embeds";
  let sum = 0;
  for (const { color, title, description, fields = [], footer } of embeds) {
    if (!Number.isInteger(color) || color < 0 || color > 0xffffff) return "color";
    if (bad(title, 256)) return "title";
    if (bad(description, 4096)) return "description";
    if (title === undefined && description === undefined && fields.length === 0) return "embed";
    if (fields.length > 25) return "fields";
    if (bad(footer?.text, 2048)) return "footer";
    for (const { name, value } of fields) {
      if (bad(name, 256, true) || bad(value, 1024, true)) return "field";
      sum += name.length + value.length;
    }
    sum += (title ?? "").length + (description ?? "").length + (footer?.text ?? "").length;
  }
  return sum > 6000 ? "MAX_EMBED_SIZE_EXCEEDED" : undefined;
}
