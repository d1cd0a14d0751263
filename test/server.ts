// A real server over a real run, and clients of it that are no browsers.
import { connect } from "node:net";
import type { Socket } from "node:net";
import { openServer } from "../plugins/server/server.ts";
import type { Server, ServerOptions } from "../plugins/server/server.ts";
import { startRun } from "./run.ts";
import type { Run, StartOptions } from "./run.ts";

export interface Served {
  readonly run: Run;
  readonly server: Server;
  readonly log: readonly string[];
  /** Asks for a path, with the token where there is one. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  json(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** A run whose ticks the test makes, and a server that shows it. */
export async function serve(
  options: Partial<ServerOptions> & { readonly run?: StartOptions } = {},
): Promise<Served> {
  const log: string[] = [];
  const { run: start, ...given } = options;
  const server = await openServer({
    address: "127.0.0.1:0",
    log: (message) => void log.push(message),
    ...given,
  });
  const run = await startRun({ view: true, ...start });
  server.show(run.view);
  const ask = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (options.token !== undefined && !headers.has("authorization")) {
      headers.set("authorization", `Bearer ${options.token}`);
    }
    return fetch(server.url + path, { ...init, headers });
  };
  return {
    run,
    server,
    log,
    ask,
    json: async (path) => await (await ask(path)).json(),
    async stop() {
      await server.close();
      await run.stop();
    },
  };
}

/** A connection that says what it is told to, byte by byte, and notes what it gets. */
export interface RawClient {
  readonly socket: Socket;
  /** All that came so far. */
  readonly got: string;
  /** Settles when the other side has closed it, or broken it off. */
  readonly closed: Promise<void>;
  write(text: string | Uint8Array): void;
  /** Waits for a text to come; what came until the connection closed, where it doesn't. */
  until(text: string): Promise<string>;
}

export function rawClient(url: string): RawClient {
  const { hostname, port } = new URL(url);
  const socket = url.startsWith("unix:")
    ? connect(url.slice("unix:".length))
    : connect(Number(port), hostname);
  let got = "";
  const waiting = new Set<() => void>();
  const look = (): void => waiting.forEach((wake) => wake());
  socket.on("data", (part) => {
    got += part.toString("latin1");
    look();
  });
  // Being cut off is what hostile clients are here for.
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  void closed.then(look);
  return {
    socket,
    get got() {
      return got;
    },
    closed,
    write: (text) => void socket.write(text),
    until: (text) =>
      new Promise((resolve) => {
        const wake = (): void => {
          if (!got.includes(text) && !socket.destroyed) return;
          waiting.delete(wake);
          resolve(got);
        };
        waiting.add(wake);
        wake();
      }),
  };
}

/** The head of a request as it goes over the wire. */
export function requestHead(
  url: string,
  line: string,
  headers: readonly string[] = [],
): string {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : [`Host: ${hostOf(url)}`];
  return [`${line} HTTP/1.1`, ...host, ...headers, "", ""].join("\r\n");
}

export const hostOf = (url: string): string => new URL(url).host;

/** Events of a stream, as they come. */
export interface EventReader {
  /** The next one that isn't a comment; undefined at the stream's end. */
  next(): Promise<ServerEvent | undefined>;
  close(): Promise<void>;
}

export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: unknown;
}

export function readEvents(response: Response): EventReader {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const next = async (): Promise<ServerEvent | undefined> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end === -1) {
        const { done, value } = await reader.read();
        if (done) return undefined;
        text += value;
        continue;
      }
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const event = field("event");
      if (event !== undefined) return { id: field("id"), event, data: JSON.parse(field("data")!) };
    }
  };
  return { next, close: () => reader.cancel() };
}
