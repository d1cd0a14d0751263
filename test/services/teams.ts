// Stands for a workflow of Teams that posts adaptive cards: it keeps them, and refuses what can't be
// posted.
// https://adaptivecards.io/explorer/
// https://learn.microsoft.com/connectors/teams/#known-issues-and-limitations-with-actions
import { Receiver } from "../receiver.ts";

type Json = Record<string, unknown>;

export interface TeamsCard {
  readonly body: readonly Json[];
  readonly actions: readonly { readonly title: string; readonly url: string }[];
}

export class Teams {
  readonly cards: TeamsCard[] = [];
  readonly refused: string[] = [];
  readonly receiver: Receiver = new Receiver();

  async open(): Promise<void> {
    this.receiver.answer = (request, response) => {
      const { body } = this.receiver.received.at(-1)!;
      const wrong = wrongIn(request.headers["content-type"], body);
      if (wrong === undefined) {
        this.cards.push(JSON.parse(body).attachments[0].content);
        response.writeHead(202).end();
        return;
      }
      this.refused.push(wrong);
      response.writeHead(wrong === "RequestEntityTooLarge" ? 413 : 400)
        .end(JSON.stringify({ error: { code: wrong } }));
    };
    await this.receiver.open();
  }

  url(path = "/workflows/abc/triggers/manual/paths/invoke?sig=s3cret"): string {
    return this.receiver.url(path);
  }

  close(): Promise<void> {
    return this.receiver.close();
  }
}

/** Texts of a card, and whether each is Markdown to Teams. */
export function textsOf({ body }: Pick<TeamsCard, "body">): { text: string; markdown: boolean }[] {
  return body.flatMap((element) => {
    if (element["type"] === "Container") return textsOf({ body: element["items"] as Json[] });
    if (element["type"] === "RichTextBlock") {
      return (element["inlines"] as { text: string }[]).map(({ text }) => ({
        text,
        markdown: false,
      }));
    }
    return [{ text: JSON.stringify(element), markdown: true }];
  });
}

function wrongIn(type: string | undefined, text: string): string | undefined {
  if (type !== "application/json") return "UnsupportedMediaType";
  if (Buffer.byteLength(text) > 28 * 1024) return "RequestEntityTooLarge";
  if (/\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f]/i.test(text)) {
    return "half a character";
  }
  const { type: kind, attachments } = JSON.parse(text) as { type: unknown; attachments: Json[] };
  if (kind !== "message" || attachments.length !== 1) return "BadRequest";
  const [{ contentType, content }] = attachments as [{ contentType: unknown; content: Json }];
  if (contentType !== "application/vnd.microsoft.card.adaptive") return "no card";
  if (content["type"] !== "AdaptiveCard" || content["version"] !== "1.2") return "no card";
  const { body, actions } = content as { body: Json[]; actions: Json[] };
  if (body.length === 0 || !body.every(isElement)) return "InvalidBotAdaptiveCard";
  if (actions.length > 6) return "too many actions";
  return actions.every((action) =>
      action["type"] === "Action.OpenUrl" && String(action["title"]) !== "" &&
      URL.canParse(String(action["url"]))
    )
    ? undefined
    : "InvalidBotAdaptiveCard";
}

function isElement(element: Json): boolean {
  if (element["type"] === "Container") {
    const styles = ["default", "emphasis", "good", "attention", "warning", "accent"];
    return styles.includes(String(element["style"])) &&
      (element["items"] as Json[]).every(isElement);
  }
  if (element["type"] !== "RichTextBlock") return false;
  const runs = element["inlines"] as Json[];
  return runs.length > 0 &&
    runs.every(({ type, text }) =>
      type === "TextRun" && typeof text === "string" && text.trim() !== ""
    );
}
