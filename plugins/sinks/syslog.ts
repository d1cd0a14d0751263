// Alerts in the system's log: over the local socket, or to a server by UDP, TCP or TLS. Here is how a
// message gets there; syslog_message.ts has its form.
import { readFileSync } from "node:fs";
import { lookup } from "node:dns/promises";
import { createSocket } from "node:dgram";
import { connect, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import * as v from "valibot";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { AlertSink } from "../../core/alert/sink.ts";
import { badSinkOption, DropwatchError, printable, reasonOf } from "../../core/error.ts";
import { openLibc, sys } from "../libc.ts";
import type { Libc } from "../libc.ts";
import { sinkKind } from "./kind.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";
import { facilities, localMessage, message } from "./syslog_message.ts";
import type { Facility } from "./syslog_message.ts";

export interface SyslogOptions {
  /**
   * `udp://host:514`, `tcp://host:514`, `tls://host:6514` or `unix:///path`; the local socket, /dev/log,
   * without it.
   */
  readonly url?: string;
  /** `local0` without it. */
  readonly facility?: Facility;
  /** `rfc5424` over the network, and `local`, what the C library's syslog(3) writes, over a local socket. */
  readonly format?: "rfc5424" | "local";
  /** How long a message may be: 2048 bytes by UDP and 8192 elsewhere without it. */
  readonly maxBytes?: number;
  /** A file with the certificates, in PEM, that a TLS server's may be signed by; the system's without it. */
  readonly ca?: string;
  /** Files with our own certificate and its key, in PEM, for a server that asks for them. */
  readonly cert?: string;
  readonly key?: string;
}

const ports: Readonly<Record<string, number>> = { "udp:": 514, "tcp:": 514, "tls:": 6514 };

/** Writes to the system's log. */
export const syslog: SinkMaker<SyslogOptions> = sinkKind<SyslogOptions>({
  name: "syslog",
  sort: "changes",
  doc: "writes alerts to the system's log, or a syslog server",
  value: "URL",
  options: {
    url: v.optional(v.string("a URL")),
    facility: v.optional(v.picklist(facilities, `a facility: ${facilities.join(", ")}`)),
    format: v.optional(v.picklist(["rfc5424", "local"], `"rfc5424" or "local"`)),
    // 480 bytes are what every receiver takes (RFC 5424, 6.1); 64 KiB is the most of a datagram.
    maxBytes: v.optional(
      v.pipe(
        v.number("a number"),
        v.integer("a whole number"),
        v.minValue(480, "480 or more"),
        v.maxValue(60_000, "60000 or less"),
      ),
    ),
    ca: v.optional(v.pipe(v.string("a file"), v.nonEmpty("a file"))),
    cert: v.optional(v.pipe(v.string("a file"), v.nonEmpty("a file"))),
    key: v.optional(v.pipe(v.string("a file"), v.nonEmpty("a file"))),
  },
  fromWord: (value) => (value === "" ? {} : { url: value }),
  make: syslogSink,
});

/** Carries a message to its receiver; settles when that has it, as far as the way can tell. */
type Way = (message: Uint8Array, signal: AbortSignal) => Promise<void>;

/**
 * A sink that writes to a log.
 *
 * @throws DropwatchError BAD_SINK_OPTION for a URL of another form, or a certificate that can't be read.
 */
export function syslogSink(options: SyslogOptions, context: SinkContext): AlertSink {
  const { url = "unix:///dev/log", facility = "local0" } = options;
  const to = placeOf(url);
  const local = to.protocol === "unix:";
  const { format = local ? "local" : "rfc5424" } = options;
  const maxBytes = options.maxBytes ?? (to.protocol === "udp:" ? 2048 : 8192);
  const make = format === "rfc5424" ? message : localMessage;
  const way = wayTo(to, options);
  return {
    name: context.name,
    async send(alert, { signal }) {
      if (signal.aborted) throw new DeliveryError("too late: nothing was sent");
      const bytes = make(alert, { facility, maxBytes });
      context.trace?.("sent", `${url}\n\n${printable(bytes.toString())}`);
      try {
        await way(bytes, signal);
      } catch (thrown) {
        if (thrown instanceof DeliveryError) throw thrown;
        throw new DeliveryError(`can't reach ${url} (${reasonOf(thrown)})`);
      }
      context.trace?.("got", "nothing: syslog has no answers");
      return { answer: `${bytes.length} bytes` };
    },
  };
}

interface Place {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

function placeOf(text: string): Place {
  const bad = (): never => {
    throw badSinkOption(
      "syslog",
      `its URL must be udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH`,
    );
  };
  if (!URL.canParse(text)) bad();
  const { protocol, hostname, port, pathname, username, password, search, hash } = new URL(text);
  if (username + password + search + hash !== "") bad();
  if (protocol === "unix:") {
    const path = decoded(pathname) ?? bad();
    // sun_path has 108 bytes, the last of which is a NUL.
    if (hostname !== "" || path.length < 2 || path.includes("\0")) bad();
    if (Buffer.byteLength(path) > 107) {
      throw badSinkOption("syslog", "the path of a socket has at most 107 bytes");
    }
    return { protocol, host: "", port: 0, path };
  }
  const usual = ports[protocol];
  if (usual === undefined || hostname === "" || pathname.length > 1) bad();
  const host = (decoded(hostname) ?? bad()).replace(/^\[(.*)\]$/, "$1");
  return { protocol, host, port: port === "" ? usual! : Number(port), path: "" };
}

/** Undefined for a `%` that stands for no character. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function wayTo({ protocol, host, port, path }: Place, options: SyslogOptions): Way {
  const { ca, cert, key } = options;
  if (protocol !== "tls:" && [ca, cert, key].some((file) => file !== undefined)) {
    throw badSinkOption("syslog", "ca, cert and key are for tls:// only");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw badSinkOption("syslog", "it needs both cert and key, or neither");
  }
  if (protocol === "udp:") return (bytes, signal) => sendUdp(bytes, host, port, signal);
  if (protocol === "unix:") return localWay(path);
  const open = protocol === "tcp:"
    ? (): Socket => connect({ host, port })
    : openerOfTls(host, port, {
      ca: read("ca", ca),
      cert: read("cert", cert),
      key: read("key", key),
    });
  // RFC 6587, 3.4.1, and RFC 5425, 4.3: so many bytes follow. A line break in a message ends nothing.
  return (bytes, signal) =>
    sendOver(open, Buffer.concat([Buffer.from(`${bytes.length} `), bytes]), signal);
}

type Tls = Readonly<Record<"ca" | "cert" | "key", Uint8Array | undefined>>;

function openerOfTls(host: string, port: number, { ca, cert, key }: Tls): () => Socket {
  return () =>
    connectTls({
      host,
      port,
      // A name only: there is none for an address.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca: Buffer.from(ca) }),
      ...(cert === undefined ? {} : { cert: Buffer.from(cert) }),
      ...(key === undefined ? {} : { key: Buffer.from(key) }),
    });
}

function read(option: string, file: string | undefined): Uint8Array | undefined {
  try {
    return file === undefined ? undefined : readFileSync(file);
  } catch (thrown) {
    throw badSinkOption("syslog", `its ${option} can't be read: ${reasonOf(thrown)}`);
  }
}

/**
 * The local socket. Nearly everywhere it is one of datagrams, which only the C library can send to a
 * path; syslog-ng may have it as a stream. A daemon that is started again has another socket there, so
 * each message looks for it anew.
 */
function localWay(path: string): Way {
  const bytesOfPath = Buffer.from(path);
  const address = new Uint8Array(2 + bytesOfPath.length + 1);
  address.set(new Uint8Array(Uint16Array.of(sys.AF_UNIX).buffer));
  address.set(bytesOfPath, 2);
  let opening: Promise<Libc> | undefined;
  return async (bytes, signal) => {
    opening ??= openLibc();
    const libc = await opening.catch((thrown) => {
      opening = undefined;
      throw thrown;
    });
    const fd = libc.socket(sys.AF_UNIX, sys.SOCK_DGRAM, 0);
    try {
      if (libc.send(fd, bytes, address)) return;
      throw new DeliveryError(
        `${printable(path)} takes nothing: nobody reads there, or too slowly`,
      );
    } catch (thrown) {
      if (!(thrown instanceof DropwatchError && thrown.data.reason === "EPROTOTYPE")) throw thrown;
    } finally {
      libc.close(fd);
    }
    // Readers of a stream take lines.
    await sendOver(() => connect({ path }), Buffer.concat([bytes, Buffer.from("\n")]), signal);
  };
}

/** One datagram. Whether it arrives is nothing that UDP tells. */
async function sendUdp(
  bytes: Uint8Array,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const { address, family } = await lookup(host);
  if (signal.aborted) throw new DeliveryError("too late: nothing was sent");
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  let abort = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      const end = (error?: Error | null): void => error ? reject(error) : resolve();
      abort = () => reject(new Error("it took too long"));
      signal.addEventListener("abort", abort, { once: true });
      socket.once("error", end).send(bytes, port, address, end);
    });
  } finally {
    signal.removeEventListener("abort", abort);
    socket.close();
  }
}

/** How long the other end may take to hang up after it has got everything. Most do so at once. */
const patience = 1000;

/**
 * One message over a connection of its own. syslog has no answers: that the other end has read it all is
 * known when it hangs up after we did. A connection that stays open would take a message for delivered
 * that lies in the buffer of a server that is gone.
 */
async function sendOver(open: () => Socket, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const socket = open();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      let sent = false;
      const broke = (): void => reject(new Error("the connection broke"));
      abort = () => reject(new Error("it took too long"));
      signal.addEventListener("abort", abort, { once: true });
      socket.once("error", reject)
        .once("finish", () => {
          sent = true;
          timer = setTimeout(resolve, patience);
        })
        .once("close", () => sent ? resolve() : broke())
        // It is read for its end alone.
        .once("end", () => sent ? resolve() : broke())
        .resume()
        .end(bytes);
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    // What comes after is nobody's concern.
    socket.on("error", () => {}).destroy();
  }
}
