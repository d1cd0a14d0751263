// What stands for syslog servers: one on each kind of socket, and readers of the two forms of messages
// that take what RFC 5424 and syslog(3) allow, and nothing else.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { openLibc, sys } from "../../plugins/libc.ts";
import type { Certificate } from "./certificate.ts";

export interface SyslogServer {
  /** What has arrived, a text for each message. */
  received(): string[];
  /** Settles when so many messages have arrived. */
  arrived(count: number): Promise<void>;
  readonly port: number;
  close(): Promise<void>;
}

/** A list that can be waited for. */
function inbox(): {
  add(text: string): void;
  all: string[];
  arrived(count: number): Promise<void>;
} {
  const all: string[] = [];
  let wake = Promise.withResolvers<void>();
  return {
    all,
    add(text) {
      all.push(text);
      wake.resolve();
      wake = Promise.withResolvers<void>();
    },
    async arrived(count) {
      while (all.length < count) await wake.promise;
    },
  };
}

/** As UTF-8, and not otherwise. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export async function udpServer(address = "127.0.0.1"): Promise<SyslogServer> {
  const { add, all, arrived } = inbox();
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (bytes) => add(decoder.decode(bytes)));
  socket.bind(0, address);
  await once(socket, "listening");
  return {
    received: () => all,
    arrived,
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** Messages of a stream by RFC 6587, 3.4.1: `MSG-LEN SP SYSLOG-MSG`. */
function readCounted(
  socket: Socket,
  add: (text: string) => void,
  fail: (why: string) => void,
): void {
  let rest = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (bytes: Uint8Array) => {
    rest = Buffer.concat([rest, bytes]);
    for (;;) {
      const head = /^([1-9]\d*) /.exec(rest.subarray(0, 12).toString("latin1"));
      if (head === null) {
        if (rest.length >= 12) fail("no MSG-LEN");
        return;
      }
      const from = head[0].length;
      const to = from + Number(head[1]);
      if (rest.length < to) return;
      add(decoder.decode(rest.subarray(from, to)));
      rest = rest.subarray(to);
    }
  });
  socket.on("end", () => rest.length > 0 && fail("the stream ended within a message"));
}

export interface StreamServer extends SyslogServer {
  readonly connections: number;
  /** What was wrong with a stream. */
  readonly wrong: readonly string[];
  /** What is done with a connection in place of reading it. */
  instead: ((socket: Socket) => void) | undefined;
}

/** A server of TCP, of TLS with a certificate (and with `clients` for those only that have it). */
export async function streamServer(
  certificate?: Certificate,
  clients?: Certificate,
): Promise<StreamServer> {
  const { add, all, arrived } = inbox();
  const sockets = new Set<Socket>();
  const server: Server = certificate === undefined ? createServer() : createTlsServer({
    cert: certificate.cert,
    key: certificate.key,
    ...(clients === undefined
      ? {}
      : { requestCert: true, rejectUnauthorized: true, ca: [clients.cert] }),
  });
  const wrong: string[] = [];
  const made = {
    received: () => all,
    arrived,
    wrong,
    connections: 0,
    instead: undefined as StreamServer["instead"],
    port: 0,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on(certificate === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    sockets.add(socket);
    made.connections++;
    if (made.instead === undefined) readCounted(socket, add, (why) => wrong.push(why));
    else made.instead(socket);
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  made.port = (server.address() as AddressInfo).port;
  return made;
}

/** A unix socket of datagrams, as journald and rsyslog have it. */
export async function datagramServer(
  path: string,
): Promise<Omit<SyslogServer, "arrived" | "port">> {
  const libc = await openLibc();
  const fd = libc.socket(sys.AF_UNIX, sys.SOCK_DGRAM, 0);
  libc.bind(fd, Buffer.from(`\x01\0${path}\0`, "latin1"));
  const all: string[] = [];
  return {
    received() {
      for (let next = libc.receive(fd); next !== undefined; next = libc.receive(fd)) {
        all.push(decoder.decode(next));
      }
      return all;
    },
    close: () => Promise.resolve(libc.close(fd)),
  };
}

/** A unix socket that is a stream of lines, as syslog-ng may have it. */
export async function lineServer(path: string): Promise<Omit<SyslogServer, "port">> {
  const { add, all, arrived } = inbox();
  const server = createServer((socket) => {
    let text = "";
    socket.on("data", (bytes) => text += decoder.decode(bytes as Uint8Array));
    socket.on("end", () => text.split("\n").filter((line) => line !== "").forEach(add));
  });
  server.listen(path);
  await once(server, "listening");
  return {
    received: () => all,
    arrived,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

export interface SyslogMessage {
  readonly facility: number;
  readonly severity: number;
  readonly timestamp: string;
  readonly hostname: string;
  readonly appName: string;
  readonly procId: string;
  readonly msgId: string;
  /** The parameters of each element, by its id. */
  readonly data: Readonly<Record<string, readonly (readonly [string, string])[]>>;
  /** Without its byte order mark. */
  readonly text: string;
}

function fail(what: string): never {
  throw new Error(what);
}

/** Reads a message by the grammar of RFC 5424, 6; throws where it isn't one. */
export function readMessage(message: string): SyslogMessage {
  const head = new RegExp(
    [
      String.raw`^<(0|[1-9]\d{0,2})>1`,
      String.raw`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))`,
      String.raw`([\x21-\x7e]{1,255})`,
      String.raw`([\x21-\x7e]{1,48})`,
      String.raw`([\x21-\x7e]{1,128})`,
      String.raw`([\x21-\x7e]{1,32})`,
      "",
    ].join(" "),
  ).exec(message);
  if (head === null) fail(`the header is none: ${JSON.stringify(message.slice(0, 200))}`);
  const [whole, priority, timestamp, hostname, appName, procId, msgId] = head!;
  if (Number(priority) > 191) fail("PRIVAL is more than 191");
  let at = whole!.length;
  const data: Record<string, [string, string][]> = {};
  if (message[at] === "-") at++;
  else if (message[at] !== "[") fail("there is no STRUCTURED-DATA");
  while (message[at] === "[") {
    const [id = fail("an SD-ID is none")] = /^[!#-<>-\\^-~]{1,32}/.exec(message.slice(at + 1)) ??
      [];
    if (Object.hasOwn(data, id)) fail(`the SD-ID ${id} is there twice`);
    if (!/^[^@]+@[1-9][\d.]*$/.test(id)) fail(`the SD-ID ${id} isn't registered`);
    at += 1 + id.length;
    const parameters: [string, string][] = data[id] = [];
    while (message[at] === " ") {
      const rest = message.slice(at);
      const match = /^ ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"/u.exec(rest);
      if (match === null) fail(`a parameter is none: ${JSON.stringify(rest.slice(0, 100))}`);
      parameters.push([match![1]!, match![2]!.replace(/\\(["\\\]])/g, "$1")]);
      at += match![0].length;
    }
    if (message[at++] !== "]") fail("an element doesn't end");
  }
  if (message[at++] !== " ") fail("there is no MSG");
  if (message[at++] !== "\ufeff") fail("MSG-UTF8 begins with no byte order mark");
  return {
    facility: Math.floor(Number(priority) / 8),
    severity: Number(priority) % 8,
    timestamp: timestamp!,
    hostname: hostname!,
    appName: appName!,
    procId: procId!,
    msgId: msgId!,
    data,
    text: message.slice(at),
  };
}

/** Reads what syslog(3) writes: `<134>Jan  2 03:04:05 dropwatch[123]: text`. */
export function readLocal(
  message: string,
): {
  readonly priority: number;
  readonly time: string;
  readonly tag: string;
  readonly text: string;
} {
  const match =
    /^<(\d{1,3})>((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 1-3]\d \d\d:\d\d:\d\d) ([\w-]{1,32}\[\d+\]): ([^\n\0]*)$/
      .exec(message);
  if (match === null) fail(`it is none: ${JSON.stringify(message.slice(0, 200))}`);
  const [, priority, time, tag, text] = match!;
  return { priority: Number(priority), time: time!, tag: tag!, text: text! };
}
