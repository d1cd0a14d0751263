// A server of node's API that answers with a function of the web's: Request in, Response out. Here are
// the bounds of what a connection may cost before anybody looks at what it asks.
import { chmod, lstat, unlink } from "node:fs/promises";
import { createServer, STATUS_CODES } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import {
  addressTaken,
  addressTooLong,
  badRequest,
  bodyTooLarge,
  cannotListen,
  headersTooLarge,
  reasonOf,
  requestTooSlow,
} from "../../core/error.ts";
import type { Address } from "./address.ts";
import { ClientGone, clientOf } from "./client.ts";
import type { Limits } from "./limit.ts";
import type { Notices } from "./notice.ts";
import { problemOf } from "./problem.ts";

/** Answers a request of a client (see `clientOf`); it doesn't throw. */
export type Handle = (request: Request, client: string) => Response | Promise<Response>;

export interface Listening {
  /** The port that it has got; 0 for a unix socket. */
  readonly port: number;
  /** Takes no more connections, and ends those there are: at once where nothing is being answered. */
  close(): Promise<void>;
}

/** What is handed to the system at once, in bytes: how far a client has read is seen after each. */
const chunkBytes = 65_536;
/** For how long answers that are under way may go on when it closes, in milliseconds. */
const lastWords = 1000;

/**
 * Listens on an address. The handler is made once it does, since the port may be any.
 *
 * @throws DropwatchError ADDRESS_TAKEN, CANNOT_LISTEN.
 */
export async function listen(
  { address, shown, limits, notices, log, handler }: {
    readonly address: Address;
    /** The address as it was written, for errors. */
    readonly shown: string;
    readonly limits: Limits;
    readonly notices: Notices;
    readonly log: (message: string) => void;
    readonly handler: (port: number) => Handle;
  },
): Promise<Listening> {
  // What comes in the same moment as the port.
  let handle: Handle = () => new Response(null, { status: 503 });
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headerTime,
    requestTimeout: limits.requestTime,
    keepAliveTimeout: limits.idleTime,
    connectionsCheckingInterval: Math.min(1000, limits.headerTime / 2),
  }, (incoming, outgoing) => {
    void answer(incoming, outgoing, { handle, limits, log });
  });
  const sockets = boundConnections(limits, notices);
  server.on("connection", sockets.take);
  server.on("clientError", (error, socket) => refuse(error, socket as Socket, { limits, log }));
  await bind(server, address, shown);
  const found = server.address();
  const port = typeof found === "object" && found !== null ? (found as AddressInfo).port : 0;
  handle = handler(port);
  // Such as no more file descriptors: what is open goes on.
  server.on("error", (error) => notices.say("accept", `the server: ${reasonOf(error)}`));
  return {
    port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const hurry = setTimeout(() => sockets.end(), lastWords);
      await closed;
      clearTimeout(hurry);
    },
  };
}

/** Counts connections, and ends those beyond the limits as they come. */
function boundConnections(
  { connections, connectionsEach }: Limits,
  notices: Notices,
): { readonly take: (socket: Socket) => void; readonly end: () => void } {
  const open = new Set<Socket>();
  const byClient = new Map<string, number>();
  return {
    take(socket) {
      const client = clientOf(socket.remoteAddress);
      const own = byClient.get(client) ?? 0;
      if (open.size >= connections || own >= connectionsEach) {
        const which = open.size >= connections ? `${connections} in all` : `${own} of that address`;
        notices.say("connections", `the server refuses a connection of ${client}: it has ${which}`);
        socket.destroy();
        return;
      }
      open.add(socket);
      byClient.set(client, own + 1);
      socket.on("close", () => {
        open.delete(socket);
        const left = byClient.get(client)! - 1;
        if (left === 0) byClient.delete(client);
        else byClient.set(client, left);
      });
    },
    end() {
      for (const socket of open) socket.destroy();
    },
  };
}

/** What isn't HTTP, is too large or comes too slowly never becomes a request. */
function refuse(
  error: Error & { readonly code?: string },
  socket: Socket,
  { limits, log }: { readonly limits: Limits; readonly log: (message: string) => void },
): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const problem = error.code === "HPE_HEADER_OVERFLOW"
    ? headersTooLarge(limits.headerBytes)
    : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
    ? requestTooSlow()
    : badRequest("it isn't HTTP");
  const { status, headers, body } = problemOf(problem, log);
  const head = { ...headers, "content-length": Buffer.byteLength(body), connection: "close" };
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      ...Object.entries(head).map(([name, value]) => `${name}: ${value}`),
      "",
      body,
    ].join("\r\n"),
    () => socket.destroy(),
  );
}

async function bind(
  server: ReturnType<typeof createServer>,
  address: Address,
  shown: string,
): Promise<void> {
  const once = (): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      const done = (): void => {
        server.off("error", reject);
        resolve();
      };
      if (address.kind === "unix") server.listen(address.path, done);
      else server.listen(address.port, address.host, done);
    });
  try {
    try {
      await once();
    } catch (error) {
      if (!isTaken(error) || address.kind !== "unix" || !(await isLeft(address.path))) throw error;
      await unlink(address.path);
      await once();
    }
    // Whoever may open it is asked nothing more where there is no token.
    if (address.kind === "unix") await chmod(address.path, 0o600);
  } catch (error) {
    if (isTaken(error)) throw addressTaken(shown);
    throw cannotListen(shown, reasonOf(error));
  }
}

const isTaken = (error: unknown): boolean =>
  (error as { readonly code?: unknown }).code === "EADDRINUSE";

/** Whether a path is a socket that nobody listens on any more: its server was killed. */
async function isLeft(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  return await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once(
      "error",
      (error: Error & { readonly code?: string }) => resolve(error.code === "ECONNREFUSED"),
    );
  });
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { handle, limits, log }: {
    readonly handle: Handle;
    readonly limits: Limits;
    readonly log: (message: string) => void;
  },
): Promise<void> {
  // A client that goes away in the middle is nothing to tell of; what it leaves is cleared by `close`.
  incoming.on("error", () => {});
  outgoing.on("error", () => {});
  try {
    const response = await responseTo(incoming, { handle, limits }).catch((thrown) => {
      if (thrown instanceof ClientGone) throw thrown;
      const { status, headers, body } = problemOf(thrown, log);
      return new Response(body, { status, headers });
    });
    await write(outgoing, response, limits.readTime);
    // Whoever still sends would miss the answer if the connection broke now.
    if (!incoming.complete) {
      incoming.resume();
      setTimeout(() => incoming.socket.destroy(), lastWords);
    }
  } catch (thrown) {
    outgoing.destroy();
    if (!(thrown instanceof ClientGone)) log(`the server could not answer: ${reasonOf(thrown)}`);
  }
}

async function responseTo(
  incoming: IncomingMessage,
  { handle, limits }: { readonly handle: Handle; readonly limits: Limits },
): Promise<Response> {
  const { method = "GET", url = "/", rawHeaders, socket } = incoming;
  if (!url.startsWith("/")) throw badRequest("its target is no path");
  if (url.length > limits.targetLength) throw addressTooLong(limits.targetLength);
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i]!.toLowerCase(), rawHeaders[i + 1]!];
    // Two of them are read differently by those who look at the first and those who look at the last.
    if (
      /^(host|authorization|origin|content-length|content-type)$/.test(name) && headers.has(name)
    ) {
      throw badRequest(`it has two headers ${name}`);
    }
    try {
      headers.append(name, value);
    } catch {
      throw badRequest(`its header ${name} can't be read`);
    }
  }
  const body = await bodyOf(incoming, limits.bodyBytes);
  let request: Request;
  try {
    request = new Request(`http://server${url}`, {
      method,
      headers,
      ...(body === undefined || method === "GET" || method === "HEAD" ? {} : { body }),
    });
  } catch {
    // TRACE, CONNECT, a path that is no URL.
    throw badRequest("its method or its path can't be read");
  }
  return await handle(request, clientOf(socket.remoteAddress));
}

/** What was sent, as far as it is allowed; undefined where nothing was. */
async function bodyOf(
  incoming: IncomingMessage,
  most: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { "content-length": length, "transfer-encoding": coding } = incoming.headers;
  if (length === undefined && coding === undefined) return undefined;
  if (Number(length ?? 0) > most) throw bodyTooLarge(most);
  const parts: Uint8Array[] = [];
  let size = 0;
  return await new Promise((resolve, reject) => {
    const take = (part: Uint8Array): void => {
      size += part.length;
      if (size <= most) {
        parts.push(part);
        return;
      }
      incoming.off("data", take);
      incoming.pause();
      reject(bodyTooLarge(most));
    };
    incoming.on("data", take);
    incoming.on("end", () => resolve(Uint8Array.from(Buffer.concat(parts))));
    incoming.on("close", () => reject(new ClientGone()));
  });
}

/** Writes an answer, no faster than its client reads. */
async function write(
  outgoing: ServerResponse,
  response: Response,
  readTime: number,
): Promise<void> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of response.headers) headers[name] = value;
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers["set-cookie"] = cookies;
  // The rest of a body that was refused would be taken for the next request.
  if (!outgoing.req.complete) headers["connection"] = "close";
  if (response.body !== null && response.headers.get("content-type") === "text/event-stream") {
    outgoing.writeHead(response.status, headers);
    outgoing.flushHeaders();
    await pour(response.body, outgoing, readTime);
  } else {
    const body = new Uint8Array(await response.arrayBuffer());
    const isWhole = outgoing.req.method !== "HEAD" && response.status !== 204 &&
      response.status !== 304;
    if (isWhole) headers["content-length"] = String(body.length);
    outgoing.writeHead(response.status, headers);
    await writeBytes(body, outgoing, readTime);
  }
  await event(outgoing, "finish", readTime, () => outgoing.end());
}

/** Writes bytes in pieces, and waits where the client hasn't read what came before. */
async function writeBytes(
  bytes: Uint8Array,
  outgoing: ServerResponse,
  readTime: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const part = bytes.subarray(at, at + chunkBytes);
    if (!outgoing.write(part)) await event(outgoing, "drain", readTime);
  }
}

/** The bytes of a stream, as they come. */
async function pour(
  body: ReadableStream<Uint8Array>,
  outgoing: ServerResponse,
  readTime: number,
): Promise<void> {
  const reader = body.getReader();
  // To cancel ends the read that waits, so that nothing is left behind for each chunk.
  const cancel = (): void => void reader.cancel().catch(() => {});
  outgoing.once("close", cancel);
  try {
    for (;;) {
      if (outgoing.destroyed) throw new ClientGone();
      const { done, value } = await reader.read();
      if (outgoing.destroyed) throw new ClientGone();
      if (done) return;
      await writeBytes(value, outgoing, readTime);
    }
  } finally {
    outgoing.off("close", cancel);
    cancel();
  }
}

/** Waits for an event of an answer, as long as its client is there and reads. */
async function event(
  outgoing: ServerResponse,
  name: "drain" | "finish",
  readTime: number,
  start?: () => void,
): Promise<void> {
  if (outgoing.destroyed) throw new ClientGone();
  await new Promise<void>((resolve, reject) => {
    const done = (end: () => void): void => {
      clearTimeout(timer);
      outgoing.off(name, come);
      outgoing.off("close", gone);
      end();
    };
    const come = (): void => done(resolve);
    const gone = (): void => done(() => reject(new ClientGone()));
    const timer = setTimeout(gone, readTime);
    outgoing.once(name, come);
    outgoing.once("close", gone);
    start?.();
  });
}
