// A watch that runs elsewhere, by its API. Whatever answers there is a stranger: all of it is checked and
// bounded.
import { createParser } from "eventsource-parser";
import * as v from "valibot";
import { cannotConnect, DropwatchError, printable, reasonOf } from "../../core/error.ts";
import {
  AlertSchema,
  AlertsSchema,
  ChangedSchema,
  DropsSchema,
  ErrorSchema,
  ReasonSchema,
  StacksSchema,
  StatusSchema,
  TickSchema,
} from "../../plugins/server/schema.ts";
import type { Schema } from "../../plugins/server/schema.ts";
import type { Feed, FeedEvent, Where } from "./feed.ts";

/** Milliseconds that an answer may take, and that may pass without a sign of life of the stream. */
const answerPatience = 10_000;
const streamPatience = 40_000;
/** Between two attempts to get the stream back: at first, and at most. */
const firstWait = 500;
const longestWait = 10_000;
/** Bytes of an answer, and of one event. */
const mostBytes = 16 * 1024 * 1024;
const mostEvent = 4 * 1024 * 1024;
/** How many combinations of labels the minute before is asked for: as many as the API gives. */
const mostSeries = 200;

export interface ConnectOptions {
  readonly url: string;
  /** What the server wants to see, where it wants a token. */
  readonly token: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * The feed of a `watch --listen`.
 *
 * @throws DropwatchError CANNOT_CONNECT where the address is none.
 */
export function connectTo({ url, token, signal }: ConnectOptions): Feed {
  const base = baseOf(url);
  const headers: Record<string, string> = token === undefined
    ? {}
    : { authorization: `Bearer ${token}` };

  const ask = async <T>(path: string, schema: Schema<T>, missing?: T): Promise<T> => {
    try {
      const answer = await fetch(`${base}/api/v1${path}`, {
        headers: { ...headers, accept: "application/json" },
        // A token is for this server, not for where it might send us.
        redirect: "error",
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerPatience)]),
      });
      if (answer.status === 404 && missing !== undefined) {
        await answer.body?.cancel();
        return missing;
      }
      const body = parse(await textOf(url, answer));
      if (!answer.ok) throw cannotConnect(url, refusal(answer.status, body));
      const read = v.safeParse(schema, body);
      if (read.success) return read.output;
      throw cannotConnect(url, `${path} isn't what dropwatch says: ${read.issues[0].message}`);
    } catch (thrown) {
      throw thrown instanceof DropwatchError ? thrown : cannotConnect(url, whyOf(thrown));
    }
  };

  /** Reads the stream until it ends; throws where it breaks. */
  const readStream = async (
    lastEventId: string | undefined,
    on: (event: FeedEvent, id: string | undefined) => void,
    over: AbortSignal,
  ): Promise<void> => {
    const silent = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(
        () => silent.abort(new Error("no sign of life")),
        streamPatience,
      );
    };
    alive();
    try {
      const answer = await fetch(`${base}/api/v1/events`, {
        headers: {
          ...headers,
          accept: "text/event-stream",
          ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
        },
        redirect: "error",
        signal: AbortSignal.any([over, silent.signal]),
      });
      if (!answer.ok) {
        throw cannotConnect(url, refusal(answer.status, parse(await textOf(url, answer))));
      }
      on({ event: "joined" }, undefined);
      // Once an event is larger than that, the next part that it is fed throws.
      const parser = createParser({
        maxBufferSize: mostEvent,
        onEvent({ event, data, id }) {
          const read = eventOf(event, data);
          if (read !== undefined) on(read, id);
        },
      });
      const decoder = new TextDecoder();
      for await (const part of answer.body ?? []) {
        alive();
        parser.feed(decoder.decode(part, { stream: true }));
      }
    } finally {
      clearTimeout(timer);
    }
  };

  const stay = async (
    listener: (event: FeedEvent) => void,
    over: AbortSignal,
  ): Promise<void> => {
    let last: string | undefined;
    let wait = firstWait;
    while (!over.aborted) {
      let why = "the stream has ended";
      try {
        await readStream(last, (event, id) => {
          if (over.aborted) return;
          last = id ?? last;
          wait = firstWait;
          listener(event);
        }, over);
      } catch (thrown) {
        why = whyOf(thrown);
      }
      if (over.aborted) return;
      listener({ event: "cut", data: { why } });
      await pause(wait, over);
      wait = Math.min(longestWait, wait * 2);
    }
  };

  return {
    status: () => ask("/status", StatusSchema),
    async past() {
      const { history } = await ask("/status", StatusSchema);
      if (history.secondsFrom === null) return undefined;
      const query = new URLSearchParams({
        by: history.fields.join(","),
        window: "1m",
        step: "1000",
        limit: String(mostSeries),
      });
      return await ask(`/drops?${query}`, DropsSchema);
    },
    stacks: (where) => ask(`/stacks?${whereQuery(where, { window: "1m" })}`, StacksSchema),
    alerts: async () => (await ask("/alerts", AlertsSchema)).alerts,
    reason: (name) =>
      ask(
        `/reasons/${encodeURIComponent(name)}`,
        v.nullable(ReasonSchema) as Schema<v.InferOutput<typeof ReasonSchema> | null>,
        null,
      ).then((found) => found ?? undefined),
    subscribe(listener) {
      const ended = new AbortController();
      void stay(listener, AbortSignal.any([signal, ended.signal]));
      return () => ended.abort();
    },
  };
}

/** `http://host:port`, without a slash at its end. */
function baseOf(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw cannotConnect(url, "expected an address such as http://127.0.0.1:8787");
  }
  if (!/^https?:$/.test(parsed.protocol)) {
    throw cannotConnect(url, "expected an address with http:// or https://");
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw cannotConnect(url, "a token is given with --token-file or in DROPWATCH_TOKEN");
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, "");
}

export function whereQuery(where: Where, more: Readonly<Record<string, string>>): URLSearchParams {
  const query = new URLSearchParams(more);
  for (const [field, labels] of Object.entries(where)) {
    for (const label of labels) {
      if (label === null) query.set(`null.${field}`, "1");
      else query.append(`where.${field}`, label);
    }
  }
  return query;
}

/** An event as it is told on; undefined for what needs no telling, or isn't what it says. */
function eventOf(name: string | undefined, data: string): FeedEvent | undefined {
  const body = parse(data);
  switch (name) {
    case "tick": {
      const read = v.safeParse(TickSchema, body);
      return read.success ? { event: "tick", data: read.output } : undefined;
    }
    case "alert": {
      const read = v.safeParse(AlertSchema, body);
      return read.success ? { event: "alert", data: read.output } : undefined;
    }
    case "changed": {
      const read = v.safeParse(ChangedSchema, body);
      return read.success ? { event: "changed", data: read.output } : undefined;
    }
    case "reset":
      return { event: "missed" };
    default:
      return undefined;
  }
}

/** JSON, or undefined where it is none. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws DropwatchError CANNOT_CONNECT where it is too long. */
async function textOf(url: string, answer: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > mostBytes) throw cannotConnect(url, `the answer is larger than ${mostBytes} bytes`);
    text += decoder.decode(part, { stream: true });
  }
  return text;
}

function refusal(status: number, body: unknown): string {
  const token = "it wants a token: --token-file FILE, or DROPWATCH_TOKEN";
  if (status === 401) return token;
  const read = v.safeParse(ErrorSchema, body);
  return read.success ? `${status}: ${read.output.error.message}` : `${status}: no dropwatch`;
}

/** What failed, and what was the cause of that: `fetch failed` alone says nothing. */
function whyOf(thrown: unknown): string {
  if (thrown instanceof DropwatchError) return String(thrown.data.why ?? thrown.message);
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  return cause instanceof Error && cause.message !== ""
    ? printable(cause.message)
    : reasonOf(thrown);
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}
