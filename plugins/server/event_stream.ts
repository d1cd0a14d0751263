// What happens, told to those who look live: each event is written as bytes once, and the same bytes go
// to all. Who doesn't read is let go; who comes back gets what was missed, as long as it is kept.
import { tooManyStreams } from "../../core/error.ts";
import type { View, ViewEvent } from "../../core/view/view.ts";
import { ClientGone } from "./client.ts";
import type { Limits } from "./limit.ts";
import type { Notices } from "./notice.ts";
import type { Hello } from "./schema.ts";

export interface OpenStream {
  /** Under what name the stream is counted. */
  readonly client: string;
  /** The id of the last event that the client has; undefined for one that begins. */
  readonly lastEventId: string | undefined;
  /** Whether the client still has the right to look; asked at each heartbeat. */
  readonly allowed: () => boolean;
}

export interface EventHub {
  /**
   * A stream of server-sent events. It errors when its client doesn't read what is sent.
   *
   * @throws DropwatchError TOO_MANY_STREAMS.
   */
  open(wanted: OpenStream): ReadableStream<Uint8Array>;
  /** How many there are. */
  readonly streams: number;
  /** Ends all streams, so that clients ask again elsewhere or later. */
  close(): void;
}

interface Stream {
  readonly client: string;
  readonly allowed: () => boolean;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

interface Kept {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

const encoder = new TextEncoder();
/** Clients that lose the stream wait so long, in milliseconds, before they ask again. */
const preface = encoder.encode("retry: 2000\n\n");
const heartbeat = encoder.encode(": alive\n\n");

/** An event in the format of server-sent events; JSON has no line breaks of its own. */
export function eventText(event: string, data: unknown, id: string | undefined): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${
    JSON.stringify(data)
  }\n\n`;
}

/** The streams of a run. */
export function makeEventHub(
  { view, limits, notices, now }: {
    readonly view: Pick<View, "status" | "subscribe">;
    readonly limits: Limits;
    readonly notices: Notices;
    readonly now: () => number;
  },
): EventHub {
  const { instance, history } = view.status();
  const hello: Hello = { instance, fields: history.fields };
  const streams = new Set<Stream>();
  const byClient = new Map<string, number>();
  let ring: Kept[] = [];
  let ringBytes = 0;
  // Where a server is opened anew within a run, its ids are others than those of the last one.
  let seq = Math.floor(now());
  let closed = false;
  let unsubscribe: (() => void) | undefined;
  let beating: ReturnType<typeof setInterval> | undefined;
  let resting: ReturnType<typeof setTimeout> | undefined;
  const idOf = (at: number): string => `${instance}-${at}`;

  const leave = (stream: Stream): void => {
    if (!streams.delete(stream)) return;
    const left = byClient.get(stream.client)! - 1;
    if (left === 0) byClient.delete(stream.client);
    else byClient.set(stream.client, left);
    if (streams.size > 0) return;
    clearInterval(beating);
    if (!closed) resting = setTimeout(rest, limits.ringIdle);
  };

  /** Nobody has looked for long: to write down what nobody reads costs something at each tick. */
  const rest = (): void => {
    unsubscribe?.();
    unsubscribe = undefined;
    ring = [];
    ringBytes = 0;
    // What happens from now on isn't kept: who has the last event doesn't have all.
    seq++;
  };

  /** Hands bytes to a stream, or ends it where its client has let too much lie. */
  const send = (stream: Stream, bytes: Uint8Array): void => {
    const { controller, client } = stream;
    if ((controller.desiredSize ?? 0) >= bytes.length) {
      controller.enqueue(bytes);
      return;
    }
    notices.say("slow", `the server ended a stream of ${client}: it isn't read`);
    leave(stream);
    controller.error(new ClientGone());
  };

  const end = (stream: Stream): void => {
    leave(stream);
    stream.controller.close();
  };

  const tell = (event: ViewEvent): void => {
    seq++;
    let bytes = encoder.encode(eventText(event.event, event.data, idOf(seq)));
    if (bytes.length > limits.streamBytes / 4) {
      notices.say("event", `an event of ${bytes.length} bytes is too large: clients read again`);
      bytes = encoder.encode(eventText("reset", {}, idOf(seq)));
    }
    ring.push({ seq, bytes });
    ringBytes += bytes.length;
    while (ring.length > limits.ringEvents || ringBytes > limits.ringBytes) {
      ringBytes -= ring.shift()!.bytes.length;
    }
    for (const stream of streams) send(stream, bytes);
  };

  /** What a client that has seen an event has missed since; undefined where that isn't known. */
  const missedSince = (id: string): readonly Kept[] | undefined => {
    const at = id.lastIndexOf("-");
    const last = /^\d{1,15}$/.test(id.slice(at + 1)) ? Number(id.slice(at + 1)) : NaN;
    const first = ring[0]?.seq ?? seq + 1;
    if (id.slice(0, at) !== instance || !(last >= first - 1 && last <= seq)) return undefined;
    const missed = ring.slice(last - first + 1);
    // It must fit beside the first words.
    const bytes = missed.reduce((sum, kept) => sum + kept.bytes.length, 0);
    return bytes <= limits.streamBytes / 2 ? missed : undefined;
  };

  const beat = (): void => {
    for (const stream of streams) {
      if (stream.allowed()) send(stream, heartbeat);
      else end(stream);
    }
  };

  return {
    get streams() {
      return streams.size;
    },
    open({ client, lastEventId, allowed }) {
      const own = byClient.get(client) ?? 0;
      const refuse = (what: string): never => {
        notices.say("streams", `the server refuses a stream of ${client}: ${what}`);
        throw tooManyStreams(what);
      };
      if (closed) throw tooManyStreams("the server is ending");
      if (own >= limits.streamsEach) refuse(`one address may have ${limits.streamsEach}`);
      if (streams.size >= limits.streams) refuse(`there are ${limits.streams}`);
      clearTimeout(resting);
      unsubscribe ??= view.subscribe(tell);
      if (streams.size === 0) beating = setInterval(beat, limits.heartbeat);
      byClient.set(client, own + 1);
      let stream: Stream;
      return new ReadableStream<Uint8Array>({
        start(controller) {
          stream = { client, allowed, controller };
          streams.add(stream);
          const missed = lastEventId === undefined ? undefined : missedSince(lastEventId);
          controller.enqueue(preface);
          // Whoever gets what was missed has not got it yet: the id would say so.
          const id = missed === undefined ? idOf(seq) : undefined;
          controller.enqueue(encoder.encode(eventText("hello", hello, id)));
          for (const { bytes } of missed ?? []) controller.enqueue(bytes);
          if (lastEventId !== undefined && missed === undefined) {
            controller.enqueue(encoder.encode(eventText("reset", {}, idOf(seq))));
          }
        },
        cancel: () => leave(stream),
      }, new ByteLengthQueuingStrategy({ highWaterMark: limits.streamBytes }));
    },
    close() {
      closed = true;
      for (const stream of streams) end(stream);
      clearTimeout(resting);
      unsubscribe?.();
      unsubscribe = undefined;
    },
  };
}
