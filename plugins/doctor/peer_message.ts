// What doctor and a peer say to each other: a JSON object a line, each question answered by one.
import * as v from "valibot";
import type { Endpoint } from "./address.ts";

export type Receiving = "filter" | "buffer" | "plain";

/** What a peer is told to do. What it opens stays open until "close". */
export type Question =
  /** Receives UDP: with a filter that refuses everything, with a small buffer, or as one should. */
  | { readonly do: "receive"; readonly how: Receiving; readonly at: Endpoint }
  /** Reads what its sockets have received, and says how much that was. */
  | { readonly do: "drain" }
  /** Listens with TCP, and takes no connection before data has come. */
  | { readonly do: "listen"; readonly at: Endpoint }
  /** Leaves its accept queue room for one connection. */
  | { readonly do: "narrow" }
  /** Sends UDP. */
  | {
    readonly do: "send";
    readonly to: Endpoint;
    readonly from?: string;
    readonly size: number;
    readonly count: number;
  }
  /** Opens TCP connections. */
  | { readonly do: "connect"; readonly to: Endpoint; readonly count: number }
  /** Sends a byte by each connection, and resets them all before anything is sent again. */
  | { readonly do: "speak" }
  /** Sends a frame, in hex, again and again. */
  | {
    readonly do: "frame";
    readonly device: string;
    readonly bytes: string;
    readonly count: number;
  }
  /** Takes the time of sends on loopback to a socket that refuses them. */
  | {
    readonly do: "time";
    readonly address: string;
    readonly count: number;
    readonly slices: number;
  }
  | { readonly do: "close" };

/** What came of it. */
export interface Done {
  /** Packets that were sent, or read. */
  readonly n: number;
  /** The ports that they were sent from. */
  readonly ports: readonly number[];
  /** Nanoseconds of one send, in each slice. */
  readonly times: readonly number[];
}

export type Answer =
  /** Once, at the start. */
  | { readonly say: "ready"; readonly pid: number }
  | ({ readonly say: "done" } & Done)
  | { readonly say: "failed"; readonly message: string };

const AnswerSchema: v.GenericSchema<unknown, Answer> = v.variant("say", [
  v.object({ say: v.literal("ready"), pid: v.number() }),
  v.object({
    say: v.literal("done"),
    n: v.number(),
    ports: v.array(v.number()),
    times: v.array(v.number()),
  }),
  v.object({ say: v.literal("failed"), message: v.string() }),
]);

/** Reads a line of a peer; undefined for what is no answer. */
export function readAnswer(line: string): Answer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const result = v.safeParse(AnswerSchema, value);
  return result.success ? result.output : undefined;
}
