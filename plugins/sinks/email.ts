// Alerts as e-mail, over SMTP (nodemailer speaks it); email_message.ts has the letter itself.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type SMTPConnection from "nodemailer/lib/smtp-connection";
import * as v from "valibot";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { GroupSink } from "../../core/alert/sink.ts";
import { badSinkOption, printable, reasonOf } from "../../core/error.ts";
import { letterOf } from "./email_message.ts";
import type { Address } from "./email_message.ts";
import { SecretSchema } from "../../core/secret.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface EmailOptions {
  /** `ops@example.com`, or `Operations <ops@example.com>`; several as a list. */
  readonly to: string | readonly string[];
  /** `dropwatch@` and this machine's name without it. */
  readonly from?: string;
  /** `smtp://user:password@host:587` or `smtps://…`, in place of the five that follow. */
  readonly url?: Secret;
  /** `localhost` without it. */
  readonly host?: string;
  /** 465 where it is secure, 25 on this machine, 587 elsewhere, without it. */
  readonly port?: number;
  /** TLS from the start; without it the connection is encrypted where the server offers it (STARTTLS). */
  readonly secure?: boolean;
  readonly user?: Secret;
  readonly password?: Secret;
  /** A file with the certificates, in PEM, that the server's may be signed by; the system's without it. */
  readonly ca?: string;
  /** Lets user and password be sent to another machine over a connection that isn't encrypted. */
  readonly plaintextPassword?: boolean;
}

const addressText = "an address: ops@example.com or Operations <ops@example.com>";
const severalText = `${addressText}, or a list of up to 100`;
const addressPattern = /^(?:([^<>"\\\p{Cc}]{1,100}) <([^<>]{3,254})>|([^<>]{3,254}))$/u;
/** A dot-string and a domain (RFC 5321, 4.1.2), or a domain that is an address. */
const mailboxPattern =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[\d.]+\])$/;

const AddressSchema = v.pipe(
  v.string(addressText),
  v.check((text) => addressOf(text) !== undefined, addressText),
);

/** Sends mail. */
export const email: SinkMaker<EmailOptions> = sinkKind<EmailOptions>({
  name: "email",
  sort: "groups",
  doc: "sends alerts as e-mail",
  value: "ADDRESS",
  options: {
    to: v.union([
      AddressSchema,
      v.pipe(v.array(AddressSchema), v.minLength(1, severalText), v.maxLength(100, severalText)),
    ], severalText),
    from: v.optional(AddressSchema),
    url: v.optional(SecretSchema),
    host: v.optional(
      v.pipe(v.string("a host"), v.regex(/^[A-Za-z0-9.:_-]{1,255}$/, "a host's name or address")),
    ),
    port: v.optional(
      v.pipe(
        v.number("a port"),
        v.integer("a port"),
        v.minValue(1, "a port"),
        v.maxValue(65535, "a port"),
      ),
    ),
    secure: v.optional(v.boolean("true or false")),
    user: v.optional(SecretSchema),
    password: v.optional(SecretSchema),
    ca: v.optional(v.pipe(v.string("a file"), v.nonEmpty("a file"))),
    plaintextPassword: v.optional(v.boolean("true or false")),
  },
  fromWord: (value, env) => ({
    to: value.split(",").map((address) => address.trim()),
    ...(env["DROPWATCH_SMTP_URL"] === undefined ? {} : { url: { env: "DROPWATCH_SMTP_URL" } }),
  }),
  make: emailSink,
});

interface Server {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly login: { readonly user: string; readonly pass: string } | undefined;
}

/** Milliseconds: a server may let a stranger wait before it greets. */
const timeout = 60_000;

/**
 * A sink that sends mail.
 *
 * @throws DropwatchError BAD_SINK_OPTION for options that don't go together, or files that can't be read.
 */
export function emailSink(options: EmailOptions, context: SinkContext): GroupSink {
  const server = serverOf(options, context);
  const ca = readCa(options.ca);
  const here = isThisMachine(server.host);
  const from = addressOf(options.from ?? `dropwatch@${hostname()}`) ??
    { name: "", address: "dropwatch@localhost" };
  const to = [options.to].flat().flatMap((text) => addressOf(text as string) ?? []);
  return {
    name: context.name,
    timeout,
    async notify(notification, { id, signal }) {
      if (signal.aborted) throw new DeliveryError("too late: nothing was sent");
      const letter = letterOf(notification, context.text(notification), {
        id,
        from,
        to,
        now: context.now(),
      });
      const { Composer, Connection } = await loadNodemailer();
      const composed = new Composer({
        ...letter.options,
        disableFileAccess: true,
        disableUrlAccess: true,
        newline: "\r\n",
      }).compile();
      const bytes = await composed.build();
      const place = `${server.host}:${server.port}`;
      context.trace?.(
        "sent",
        [
          `SMTP ${place}`,
          `from ${from.address} to ${to.map(({ address }) => address).join(", ")}`,
          "",
          bytes.subarray(0, bytes.indexOf("\r\n\r\n")).toString().replaceAll("\r\n", "\n"),
          "",
          letter.options.text,
        ].join("\n"),
      );
      const connection = new Connection({
        host: server.host,
        port: server.port,
        secure: server.secure,
        // To encrypt what stays on this machine gains nothing, and its certificate is rarely a real one.
        ignoreTLS: here && ca === undefined,
        requireTLS: server.login !== undefined && !here && options.plaintextPassword !== true,
        connectionTimeout: timeout,
        greetingTimeout: timeout,
        socketTimeout: timeout,
        socketCloseTimeout: 1000,
        maxResponseSize: 65_536,
        ...(ca === undefined ? {} : { tls: { ca } }),
      });
      const envelope = { from: from.address, to: to.map(({ address }) => address) };
      try {
        const { response, rejected, rejectedErrors = [] } = await deliver(
          connection,
          server.login,
          { ...envelope, size: bytes.length },
          bytes,
          signal,
        );
        const answer = context.hide(printable(response).slice(0, 200));
        context.trace?.("got", answer);
        for (const [i, address] of rejected.entries()) {
          const why = context.hide(printable(rejectedErrors[i]?.response ?? "")).slice(0, 200);
          context.log(`${context.name}: ${place} refuses mail to ${printable(address)}: ${why}`);
        }
        return { answer };
      } catch (thrown) {
        const error = failure(thrown, place, context);
        context.trace?.("got", error.message);
        throw error;
      } finally {
        connection.close();
      }
    },
  };
}

/** Loaded when there is a letter: it takes as long as half of a start of dropwatch. */
async function loadNodemailer() {
  const [{ default: Composer }, { default: Connection }] = await Promise.all([
    import("nodemailer/lib/mail-composer"),
    import("nodemailer/lib/smtp-connection"),
  ]);
  return { Composer, Connection };
}

type Sent = Parameters<Parameters<SMTPConnection["send"]>[2]>[1];
type Envelope = Parameters<SMTPConnection["send"]>[0];

/** Connects, logs in and sends. */
async function deliver(
  connection: SMTPConnection,
  login: Server["login"],
  envelope: Envelope,
  message: Buffer,
  signal: AbortSignal,
): Promise<NonNullable<Sent>> {
  let stop = (): void => {};
  try {
    return await new Promise((resolve, reject) => {
      stop = () => reject(new DeliveryError("it took too long"));
      signal.addEventListener("abort", stop, { once: true });
      // An error that isn't of a command: the connection broke.
      connection.on("error", reject);
      connection.on("end", () => reject(new Error("the server closed the connection")));
      const send = (): void =>
        connection.send(envelope, message, (error, info) => {
          if (error || info === undefined) return reject(error ?? new Error("no answer"));
          resolve(info);
          connection.quit();
        });
      connection.connect((error) => {
        if (error) return reject(error);
        if (login === undefined) return send();
        connection.login({ credentials: login }, (error) => error ? reject(error) : send());
      });
    });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** What a failed attempt means: 4xx is worth another, 5xx is final (RFC 5321, 4.2.1). */
function failure(thrown: unknown, place: string, context: SinkContext): DeliveryError {
  if (thrown instanceof DeliveryError) return thrown;
  const { responseCode, code, response } = thrown as {
    responseCode?: number;
    code?: string;
    response?: string;
  };
  // Who offers no encryption, or a bad one, is set up wrongly or somebody else: the letter can wait.
  if (responseCode !== undefined && code !== "ETLS") {
    const said = context.hide(printable(response ?? "")).slice(0, 200);
    return new DeliveryError(`answered ${said || responseCode}`, { final: responseCode >= 500 });
  }
  const why = context.hide(reasonOf(thrown)).slice(0, 200);
  // Without an answer these are about the letter, which stays as it is.
  const final = code === "EMESSAGE" || code === "EENVELOPE";
  return new DeliveryError(`can't send by ${place} (${why})`, { final });
}

function serverOf(options: EmailOptions, context: SinkContext): Server {
  const { url, host, port, secure, user, password } = options;
  if (url !== undefined) {
    if ([host, port, secure, user, password].some((option) => option !== undefined)) {
      throw badSinkOption("email", "its url stands for host, port, secure, user and password");
    }
    // Without a password there is nothing in it to be hidden.
    const open = typeof url === "string" && URL.canParse(url) && new URL(url).password === "";
    return serverOfUrl(open ? url : context.secret("url", url), context);
  }
  if ((user === undefined) !== (password === undefined)) {
    throw badSinkOption("email", "it needs a user and a password, or neither");
  }
  const login = user === undefined || password === undefined ? undefined : {
    // A user's name alone is no secret.
    user: typeof user === "string" ? user : context.secret("user", user),
    pass: context.secret("password", password),
  };
  return withDefaults({ host, port, secure: secure ?? port === 465, login }, context);
}

function serverOfUrl(text: string, context: SinkContext): Server {
  const form = "its url must be smtp://USER:PASSWORD@HOST:PORT or smtps://…";
  if (!URL.canParse(text)) throw badSinkOption("email", form);
  const { protocol, hostname, port, username, password, pathname, search } = new URL(text);
  if (!/^smtps?:$/.test(protocol) || hostname === "" || pathname.length > 1 || search !== "") {
    throw badSinkOption("email", form);
  }
  if ((username === "") !== (password === "")) throw badSinkOption("email", form);
  let login: Server["login"];
  try {
    if (username !== "") {
      login = { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
    }
  } catch {
    throw badSinkOption("email", form);
  }
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const secure = protocol === "smtps:";
  return withDefaults(
    { host, port: port === "" ? undefined : Number(port), secure, login },
    context,
  );
}

function withDefaults(
  { host = "localhost", port, secure, login }: {
    readonly host: string | undefined;
    readonly port: number | undefined;
    readonly secure: boolean;
    readonly login: Server["login"];
  },
  context: SinkContext,
): Server {
  if (login !== undefined) {
    context.keepSecret(login.pass);
    // As AUTH PLAIN and AUTH LOGIN send them: a server may repeat what it didn't understand.
    for (const text of [`\0${login.user}\0${login.pass}`, login.pass]) {
      context.keepSecret(Buffer.from(text).toString("base64"));
    }
  }
  const usual = secure ? 465 : isThisMachine(host) ? 25 : 587;
  return { host, port: port ?? usual, secure, login };
}

function isThisMachine(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(host);
}

function readCa(file: string | undefined): string | undefined {
  try {
    return file === undefined ? undefined : readFileSync(file, "utf8");
  } catch (thrown) {
    throw badSinkOption("email", `its ca can't be read: ${reasonOf(thrown)}`);
  }
}

/** The parts of an address; undefined where it is none. */
function addressOf(text: string): Address | undefined {
  const [, name = "", inBrackets, bare] = addressPattern.exec(text.trim()) ?? [];
  const address = inBrackets ?? bare ?? "";
  return mailboxPattern.test(address) ? { name: name.trim(), address } : undefined;
}
