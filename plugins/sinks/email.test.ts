import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { inflateSync } from "node:zlib";
import type { Delivered, DeliveryError, GroupSink } from "../../core/alert/sink.ts";
import type { Notification } from "../../core/alert/notification.ts";
import { alertOf, hostileNames, rawControl } from "../../test/alert.ts";
import { sinkContract } from "../../test/contract/sink.ts";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { randomFrom } from "../../test/random.ts";
import { makeCertificate } from "../../test/services/certificate.ts";
import { headerOf, leavesOf, readMime } from "../../test/services/mime.ts";
import type { MimePart } from "../../test/services/mime.ts";
import { SmtpServer } from "../../test/services/smtp.ts";
import type { SmtpOptions } from "../../test/services/smtp.ts";
import { notificationOf, sinkOf } from "../../test/sink.ts";
import type { SinkSetting } from "./registry.ts";
import { email } from "./email.ts";
import type { EmailOptions } from "./email.ts";

/** A joiner that keeps clients from making links. */
const bare = (text: string): string => text.replaceAll("\u2060", "");

const textOf = (raw: string): string =>
  leavesOf(readMime(raw))["text/plain"]!.body.toString().replaceAll("\r\n", "\n");

sinkContract("email", {
  async setUp() {
    const server = new SmtpServer();
    await server.open();
    return {
      sink: sinkOf(email({ to: "ops@example.com", host: "127.0.0.1", port: server.port })),
      received: () => server.mails.map(({ raw }) => bare(textOf(raw))),
      async close() {
        await server.close();
        expect(server.wrong).toEqual([]);
      },
    };
  },
});

const context = { id: "msg_1", signal: new AbortController().signal };
const login = { user: "me", password: "s3cret pass" };
let folder: Folder;
let server: SmtpServer;

beforeEach(async () => {
  folder = await makeFolder();
  server = new SmtpServer();
  await server.open();
});

afterEach(async () => {
  await server.close();
  await folder.remove();
  expect(server.wrong).toEqual([]);
});

/** Another server in the place of the plain one. */
async function serve(options: SmtpOptions): Promise<void> {
  await server.close();
  server = new SmtpServer(options);
  await server.open();
}

const sinkTo = (
  options: Partial<EmailOptions> = {},
  setting: Partial<SinkSetting> = {},
): GroupSink => {
  const where = options.url === undefined ? { host: "127.0.0.1", port: server.port } : {};
  return sinkOf<GroupSink>(email({ to: "ops@example.com", ...where, ...options }), setting);
};

const notification = notificationOf([alertOf()]);

const send = (
  sink: GroupSink = sinkTo(),
  about: Notification = notification,
): Promise<Delivered | void> => sink.notify(about, context);

/** The letter that arrives of a notification. */
async function letter(about: Notification, sink = sinkTo()): Promise<MimePart> {
  const before = server.mails.length;
  await send(sink, about);
  expect(server.mails.length).toBe(before + 1);
  return readMime(server.mails.at(-1)!.raw);
}

const bodyOf = (mail: MimePart, type: "text/plain" | "text/html"): string =>
  leavesOf(mail)[type]!.body.toString().replaceAll("\r\n", "\n");

async function failure(sink = sinkTo(), signal = context.signal): Promise<DeliveryError> {
  try {
    await sink.notify(notification, { ...context, signal });
  } catch (thrown) {
    return thrown as DeliveryError;
  }
  throw new Error("it was delivered");
}

describe("a letter", () => {
  test("has the headers of one that a machine wrote, and no others", async () => {
    const mail = await letter(notification, sinkTo({ from: "Drops & more <drops@example.org>" }));
    const { headers } = mail;
    expect(headers.map(([name]) => name).sort()).toEqual([
      "auto-submitted",
      "content-type",
      "date",
      "from",
      "in-reply-to",
      "message-id",
      "mime-version",
      "references",
      "subject",
      "to",
      "x-auto-response-suppress",
      "x-dropwatch-severity",
      "x-dropwatch-status",
      "x-mailer",
    ]);
    expect(headerOf(mail, "subject")).toBe("FIRING SocketFilterDrops: a socket refuses packets");
    expect(headerOf(mail, "auto-submitted")).toBe("auto-generated");
    expect(headerOf(mail, "x-auto-response-suppress")).toBe("All");
    expect(headerOf(mail, "from")).toMatch(/^"?Drops & more"? <drops@example.org>$/);
    expect(headerOf(mail, "to")).toBe("ops@example.com");
    expect(Number.isNaN(Date.parse(headerOf(mail, "date")!))).toBe(false);
    const [{ from, to }] = server.mails as [(typeof server.mails)[0]];
    expect([from, to]).toEqual(["drops@example.org", ["ops@example.com"]]);
  });

  test("has an id that stays over all attempts, and is of one thread with its group's", async () => {
    const idsOf = async (about: Notification, id: string): Promise<(string | undefined)[]> => {
      await sinkTo({ from: "drops@example.org" }).notify(about, { ...context, id });
      const mail = readMime(server.mails.at(-1)!.raw);
      return ["message-id", "references", "in-reply-to"].map((name) => headerOf(mail, name));
    };
    const [id, references, inReplyTo] = await idsOf(notification, "msg_1");
    expect(id).toMatch(/^<[0-9a-f]{32}@example\.org>$/);
    expect(references).toMatch(/^<[0-9a-f]{32}\.group@example\.org>$/);
    expect(inReplyTo).toBe(references!);
    expect(await idsOf(notification, "msg_1")).toEqual([id, references, references]);
    const [next, same] = await idsOf(notification, "msg_2");
    expect([next === id, same]).toEqual([false, references]);
    const [, other] = await idsOf({ ...notification, groupKey: "another" }, "msg_3");
    expect(other).not.toBe(references);
  });

  test("says in text what there is to know", async () => {
    const alert = alertOf({
      severity: "critical",
      annotations: {
        summary: "a socket refuses packets",
        description: "look at its filter",
        runbook: "https://x.example/run?a=1&b=2",
      },
    });
    const mail = await letter(notificationOf([alert], { externalURL: "https://dash.example/" }));
    expect(bodyOf(mail, "text/plain").trimEnd()).toBe([
      "FIRING SocketFilterDrops: a socket refuses packets",
      "ownerInode 4711, value 250.5, peak 300, drops 12,345, since 2026-01-02 03:04:05 UTC",
      "look at its filter",
      "runbook: https://x.example/run?a=1&b=2",
      "dashboard: https://dash.example/",
    ].join("\n"));
    const html = bodyOf(mail, "text/html");
    expect(html).toContain(`<a href="https://x.example/run?a=1&amp;b=2">runbook</a>`);
    expect(html).toContain(`<a href="https://dash.example/">dashboard</a>`);
    expect(html).toContain("look at its filter");
    expect(html).toContain(`name="color-scheme" content="light dark"`);
    expect(headerOf(mail, "importance")).toBe("high");
  });

  test("of an alert that is over says so, and is not urgent", async () => {
    const alert = alertOf({ severity: "critical", endsAt: "2026-01-02T03:09:05.000Z" });
    const mail = await letter(notificationOf([alert]));
    expect(headerOf(mail, "subject")).toMatch(/^RESOLVED SocketFilterDrops: /);
    expect(headerOf(mail, "x-dropwatch-status")).toBe("resolved");
    expect(headerOf(mail, "importance")).toBeUndefined();
    expect(bodyOf(mail, "text/plain")).toContain("lasted 5m");
  });

  test("shows the rate where it is known: a picture within the letter", async () => {
    const rates = {
      from: Date.parse("2026-01-02T03:00:00.000Z"),
      step: 10_000,
      values: Array.from({ length: 60 }, (_, i) => i),
      of: "SOCKET_FILTER <b>",
    };
    const mail = await letter({ ...notification, rates });
    const picture = leavesOf(mail)["image/png"]!;
    const html = bodyOf(mail, "text/html");
    const [, cid] = /<img src="cid:([^"]+)" width="600" alt="[^"<>]*SOCKET_FILTER &lt;b&gt;/
      .exec(html)!;
    expect(headerOf(picture, "content-id")).toBe(`<${cid}>`);
    expect(headerOf(picture, "content-disposition")).toMatch(/^inline/);
    // The signature of a PNG; its pixels, in the first IDAT, can be read.
    expect(picture.body.subarray(0, 8).toString("latin1")).toBe("\x89PNG\r\n\x1a\n");
    const at = picture.body.indexOf("IDAT");
    const pixels = picture.body.subarray(at + 4, at + 4 + picture.body.readUInt32BE(at - 4));
    expect(inflateSync(pixels).length).toBeGreaterThan(1000);
    expect(mail.type).toBe("multipart/alternative");
  });

  test("is the config's own where there is one", async () => {
    const sink = sinkOf<GroupSink>(email({
      to: "ops@example.com",
      host: "127.0.0.1",
      port: server.port,
      text: () => ({ title: "mine & yours", body: "<b>one</b>\nhttps://wiki.example/" }),
    }));
    const mail = await letter(notification, sink);
    expect(headerOf(mail, "subject")).toBe("mine & yours");
    expect(bodyOf(mail, "text/plain").trimEnd()).toBe(
      "mine & yours\n<b>one</b>\nhttps://wiki.example/",
    );
    expect(bodyOf(mail, "text/html")).toContain("&lt;b&gt;one&lt;/b&gt;");
  });

  test("of many alerts has those that there is room for, and says how many it leaves out", async () => {
    const long = "x".repeat(2000);
    const alerts = Array.from({ length: 300 }, (_, i) =>
      alertOf({
        labels: { comm: `worker${i}`, stack: long, other: long, third: long },
        annotations: { summary: `${i}${long}`, description: long, more: long },
      }));
    const mail = await letter(notificationOf(alerts));
    const [text, html] = [bodyOf(mail, "text/plain"), bodyOf(mail, "text/html")];
    expect(html.length).toBeLessThan(100_000);
    for (const body of [text, html]) {
      expect(body).toMatch(/\d+ more alerts had no room here; and 250 more alerts: 300 firing/);
    }
    expect(headerOf(mail, "subject")!.length).toBeLessThanOrEqual(200);
  });
});

describe("what a stranger chose", () => {
  /** The tags of a letter, without what their attributes hold of a text. */
  const tagsOf = (html: string): string[] =>
    (html.match(/<[^>]*>/g) ?? []).map((tag) => tag.replace(/border-left:[^;]*/, ""));

  test("is text: no header, no line, no part, no tag, no link", async () => {
    const random = randomFrom(9);
    const pieces = [
      ..."<>&\"'=?\r\n.:;, \t\0-é€\ud800",
      "\r\nBcc: x@example.net\r\n",
      "\r\n.\r\nMAIL FROM:<x@example.net>\r\n",
      "\n\n--",
      "=?utf-8?Q?=0D=0ABcc:_x?=",
      "<script>",
      "</td><a href='//x.example'>",
      "https://x.example/",
      "www.x.example",
      "&#60;",
      "javascript:alert(1)",
      ...hostileNames,
    ];
    const name = (): string =>
      Array.from({ length: random.int(1, 25) }, () => random.pick(pieces)).join("");
    const about = (comm: string): Notification => {
      const alert = alertOf({
        alert: `A${comm}`,
        severity: "critical",
        labels: { comm, [`l${comm}`]: comm },
        annotations: { summary: `S${comm}`, description: comm, runbook: `javascript:${comm}` },
      });
      const other = alertOf({ alert: "B", labels: { comm: `B${comm}` } });
      return notificationOf([alert, other], { groupKey: comm });
    };
    const plain = await letter(about("x"));
    for (let i = 0; i < 120; i++) {
      const comm = name();
      const mail = await letter(about(comm));
      expect(mail.headers.map(([each]) => each)).toEqual(plain.headers.map(([each]) => each));
      for (const [header, value] of mail.headers) {
        expect([header, rawControl.test(value.replaceAll("\ufffd", ""))]).toEqual([header, false]);
      }
      expect(headerOf(mail, "subject")).toMatch(/^FIRING \(2\) A/);
      expect(Object.keys(leavesOf(mail)).sort()).toEqual(["text/html", "text/plain"]);
      const html = bodyOf(mail, "text/html");
      expect(tagsOf(html)).toEqual(tagsOf(bodyOf(plain, "text/html")));
      expect(html).not.toMatch(/&(?!(amp|lt|gt|quot|#39|middot);)/);
      const text = bodyOf(mail, "text/plain");
      for (const line of `${text}\n${html}`.split("\n")) {
        expect(rawControl.test(line)).toBe(false);
      }
      expect(text.split("\n").length).toBe(bodyOf(plain, "text/plain").split("\n").length);
      // Where a client would make a link of a name by itself.
      for (const body of [html, text]) expect(body).not.toMatch(/:\/\/|\bwww\.\w/);
      const { from, to } = server.mails.at(-1)!;
      expect([from.startsWith("dropwatch@"), to]).toEqual([true, ["ops@example.com"]]);
    }
    expect(server.mails).toHaveLength(121);
  }, 20_000);
});

describe("a connection", () => {
  test("is encrypted by STARTTLS where the server's certificate is known", async () => {
    const certificate = makeCertificate(folder);
    await serve({ certificate, login });
    const { answer } = (await send(sinkTo({ ...login, ca: certificate.certFile })))!;
    expect(answer).toBe("250 2.0.0 Queued as 12345");
    expect(server.mails.map(({ encrypted, user }) => [encrypted, user])).toEqual([[true, "me"]]);
  });

  test("goes by a URL, which is a secret where it has a password in it", async () => {
    await serve({});
    const clear: string[] = [];
    const inTheClear = (option: string): void => void clear.push(option);
    await send(sinkTo({ url: `smtp://127.0.0.1:${server.port}` }, { inTheClear }));
    expect([server.mails.length, clear]).toEqual([1, []]);
    sinkTo({ url: "smtp://me:s3cret@mail.example.com" }, { inTheClear });
    expect(clear).toEqual(["url"]);
  });

  test("is encrypted from the start where that is asked, by options or a URL", async () => {
    const certificate = makeCertificate(folder);
    await serve({ certificate, secure: true, login });
    await send(sinkTo({ ...login, secure: true, ca: certificate.certFile }));
    const url = `smtps://me:${encodeURIComponent(login.password)}@127.0.0.1:${server.port}`;
    await send(sinkTo({ url: { env: "SMTP" }, ca: certificate.certFile }, { env: { SMTP: url } }));
    expect(server.mails.map(({ encrypted, user }) => [encrypted, user]))
      .toEqual([[true, "me"], [true, "me"]]);
  });

  test("to a server whose certificate isn't known tells nothing", async () => {
    await serve({ certificate: makeCertificate(folder), secure: true, login });
    const other = makeCertificate(folder, "other");
    for (const ca of [undefined, other.certFile]) {
      const { final, message } = await failure(
        sinkTo({ ...login, secure: true, ...(ca === undefined ? {} : { ca }) }),
      );
      expect(final).toBe(false);
      expect(message).toMatch(/certificate|self.signed|issuer|CA/i);
    }
    expect(server.commands).toEqual([]);
  });

  test("to another machine carries no password unless it is encrypted, or that is asked for", async () => {
    await serve({ login });
    // It leads to this machine, but not by a name that says so.
    const elsewhere = { host: "0.0.0.0", port: server.port, ...login };
    const { name, final, message } = await failure(sinkTo(elsewhere));
    expect([name, final]).toEqual(["DeliveryError", false]);
    expect(message).toMatch(/TLS/i);
    expect(server.commands.filter((command) => command.startsWith("AUTH"))).toEqual([]);
    await send(sinkTo({ ...elsewhere, plaintextPassword: true }));
    expect(server.mails.map(({ user }) => user)).toEqual(["me"]);
  });

  test("to this machine needs no certificate", async () => {
    await serve({ certificate: makeCertificate(folder), login });
    await send(sinkTo(login));
    expect(server.mails.map(({ encrypted, user }) => [encrypted, user])).toEqual([[false, "me"]]);
  });

  test.each(["PLAIN", "LOGIN"])("logs in by AUTH %s", async (method) => {
    await serve({ login, methods: [method] });
    await send(sinkTo(login));
    expect(server.mails.map(({ user }) => user)).toEqual(["me"]);
    expect(server.commands).toContain(`AUTH ${method}`);
  });

  test("is closed after the letter", async () => {
    await send();
    while (server.commands.at(-1) !== "QUIT") {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
});

describe("an answer", () => {
  /** With which a server refuses at some command. */
  const refusing = (at: string, text: string): void => {
    server.reply = (command) => command.startsWith(at) ? text : undefined;
  };

  test.each([
    ["MAIL", "451 4.3.0 Try later", false],
    ["MAIL", "550 5.1.8 Not you", true],
    ["RCPT", "450 4.2.1 Greylisted", false],
    ["RCPT", "550 5.1.1 No such user", true],
    ["DATA", "421 4.3.2 Closing", false],
    [".", "452 4.3.1 No space", false],
    [".", "554 5.7.1 Spam", true],
  ])("at %s of %s is final: %j", async (at, text, final) => {
    refusing(at as string, text as string);
    const error = await failure();
    expect([error.name, error.final, error.gone]).toEqual(["DeliveryError", final, false]);
    expect(error.message).toBe(`answered ${text}`);
    expect(server.mails).toEqual([]);
  });

  test("that the password is wrong is final, and the password isn't told", async () => {
    await serve({ login });
    const traced: string[] = [];
    const wrong = { user: "me", password: "n0t right" };
    const plain = Buffer.from("\0me\0n0t right").toString("base64");
    refusing("AUTH", `535 5.7.8 no: n0t right ${plain}`);
    const sink = sinkTo(wrong, { trace: (_, lines) => traced.push(lines) });
    const { final, message } = await failure(sink);
    expect([final, message]).toEqual([true, "answered 535 5.7.8 no: ••• •••"]);
    expect(traced.join()).not.toContain("n0t right");
    expect(traced.join()).not.toContain(plain);
    expect(traced[0]).toMatch(/^Subject: FIRING SocketFilterDrops.*[^\r]$/m);
    expect(traced[0]).not.toContain("\r");
  });

  test("that refuses some of the recipients is told, and the letter delivered to the others", async () => {
    const said: string[] = [];
    refusing("RCPT gone@", "550 5.1.1 No such user\x1b[2J");
    const to = ["Gone <gone@example.com>", "ops@example.com"];
    await send(sinkTo({ to }, { log: (line) => said.push(line) }));
    expect(server.mails.map(({ to }) => to)).toEqual([["ops@example.com"]]);
    expect(said).toEqual([
      `email: 127.0.0.1:${server.port} refuses mail to gone@example.com: ` +
      "550 5.1.1 No such user\\x1b[2J",
    ]);
    expect(headerOf(readMime(server.mails[0]!.raw), "to"))
      .toBe("Gone <gone@example.com>, ops@example.com");
  });

  test("that never comes ends with the attempt", async () => {
    const ending = new AbortController();
    server.reply = (command) => {
      if (command !== "DATA") return undefined;
      ending.abort();
      return " ";
    };
    const error = await failure(sinkTo(), ending.signal);
    expect([error.name, error.final, error.message])
      .toEqual(["DeliveryError", false, "it took too long"]);
    expect((await failure(sinkTo(), AbortSignal.abort())).message)
      .toBe("too late: nothing was sent");
  });

  test.each(["", "EHLO", "MAIL", "DATA", "."])(
    "that breaks off at %j is one to try again",
    async (at) => {
      server.reply = (command) =>
        (at === "" ? command === "" : command.startsWith(at)) ? "" : undefined;
      const error = await failure();
      expect([error.name, error.final]).toEqual(["DeliveryError", false]);
      expect(error.message).toContain(`can't send by 127.0.0.1:${server.port} (`);
    },
  );

  test("of nobody is one to try again", async () => {
    const sink = sinkTo();
    await server.close();
    const { name, final } = await failure(sink);
    expect([name, final]).toEqual(["DeliveryError", false]);
    await serve({});
  });

  test("that is no SMTP is one to try again", async () => {
    server.reply = (command) => command === "" ? "HTTP/1.1 400 Bad Request" : undefined;
    expect((await failure()).final).toBe(false);
  });
});

describe("options", () => {
  test("may be a word, with the server in the environment", async () => {
    const env = { DROPWATCH_SMTP_URL: `smtp://127.0.0.1:${server.port}` };
    const sink = sinkOf<GroupSink>("email=a@example.com, B <b@example.com>", { env });
    await send(sink);
    expect(server.mails.map(({ to }) => to)).toEqual([["a@example.com", "b@example.com"]]);
  });

  test("that can't be are told, without a secret", () => {
    const address = "expected an address: ops@example.com or Operations <ops@example.com>";
    const form = "its url must be smtp://USER:PASSWORD@HOST:PORT or smtps://…";
    for (
      const [options, expected] of [
        [{ to: "" }, address],
        [{ to: [] }, address],
        [{ to: "ops" }, address],
        [{ to: "a@example.com\r\nBcc: b@example.com" }, address],
        [{ to: "a\r\nBcc: b@example.com <a@example.com>" }, address],
        [{ to: "a@example.com, b@example.com" }, address],
        [{ to: "<a@example.com> <b@example.com>" }, address],
        [{ from: "a b@example.com" }, address],
        [{ user: "me" }, "it needs a user and a password, or neither"],
        [{ url: "http://s3cret@host" }, form],
        [{ url: "smtp://me:s3cret@host/path" }, form],
        [{ url: "smtp://me@host" }, form],
        [{ url: "smtp://me:s3cret%@host" }, form],
        [{ url: "smtp://host", host: "host" }, "its url stands for host"],
        [{ host: "a b" }, "expected a host's name or address"],
        [{ port: 0 }, "expected a port"],
        [{ ca: "/nowhere/ca.pem" }, "its ca can't be read"],
      ] as const
    ) {
      let message = "";
      try {
        sinkTo(options as Partial<EmailOptions>);
      } catch (thrown) {
        message = String(thrown);
      }
      expect([options, message.includes(expected)]).toEqual([options, true]);
      expect(message).not.toContain("s3cret");
    }
  });
});
