// What stands for Grafana Loki: it takes what its push interface takes (pkg/loghttp/push), holds
// the limits of its default configuration, and answers with its words (pkg/validation/validate.go).
import type { Received, Receiver } from "../receiver.ts";

export interface Entry {
  readonly labels: Readonly<Record<string, string>>;
  /** Nanoseconds since 1970. */
  readonly at: bigint;
  readonly line: string;
}

/** Lets a receiver answer as Loki; what it refused is in what this returns. */
export function standForLoki(receiver: Receiver): string[] {
  const refused: string[] = [];
  receiver.answer = (_, response) => {
    try {
      entriesOf(receiver.received.at(-1)!);
    } catch (thrown) {
      const { message } = thrown as Error;
      refused.push(message);
      return void response.writeHead(400, { "content-type": "text/plain" }).end(message);
    }
    response.writeHead(204).end();
  };
  return refused;
}

function fail(what: string): never {
  throw new Error(what);
}

const bytes = (text: string): number => Buffer.byteLength(text);

/** The entries of a request. Throws what is wrong with it, as Loki says it. */
export function entriesOf({ method, headers, body }: Received): Entry[] {
  if (method !== "POST") fail("405 method not allowed");
  // Anything else is read as protobuf.
  if (headers["content-type"] !== "application/json") fail("snappy: corrupt input");
  const { streams, ...more } = JSON.parse(body);
  if (Object.keys(more).length > 0) fail("a field that a push has not");
  return streams.flatMap(({ stream, values }: { stream: unknown; values: unknown }) => {
    const labels = Object.entries(stream as Record<string, unknown>);
    if (labels.length === 0) fail("error at least one label pair is required per stream");
    // Loki adds service_name.
    if (labels.length + 1 > 15) {
      fail(`entry for stream '{}' has ${labels.length} label names; limit 15`);
    }
    for (const [name, value] of labels) {
      if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) fail(`Error parsing labels '${name}'`);
      if (typeof value !== "string") fail(`Value is not a string`);
      if (bytes(name) > 1024) fail(`stream '{}' has label name too long: '${name}'`);
      if (bytes(value) > 2048) fail(`stream '{}' has label value too long: '${value}'`);
    }
    return (values as unknown[]).map((each) => {
      if (!Array.isArray(each) || each.length !== 2) fail("an entry is a time and a line");
      const [at, line] = each as unknown[];
      if (typeof at !== "string" || !/^\d{19}$/.test(at)) fail(`could not parse time '${at}'`);
      if (typeof line !== "string") fail("Value is not a string");
      if (bytes(line) > 262_144) {
        fail(
          `Max entry size '262144' bytes exceeded for stream '{}' while adding an entry with ` +
            `length '${bytes(line)}' bytes`,
        );
      }
      return { labels: stream as Entry["labels"], at: BigInt(at), line };
    });
  });
}
