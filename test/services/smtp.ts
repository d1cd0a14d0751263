// A mail server on this machine (RFC 5321): EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA. It notes what isn't
// as the RFC has it, and keeps the letters.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Certificate } from "./certificate.ts";

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  /** As it came, without the dots that SMTP puts before dots; lines end in CRLF. */
  readonly raw: string;
  readonly encrypted: boolean;
  /** Who has logged in. */
  readonly user: string | undefined;
}

export interface SmtpOptions {
  /** With it the server offers STARTTLS, or speaks TLS from the start where it is `secure`. */
  readonly certificate?: Certificate;
  readonly secure?: boolean;
  /** The only ones that may log in; without it nobody needs to. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Which ways of logging in are offered; PLAIN and LOGIN without it. */
  readonly methods?: readonly string[];
}

export class SmtpServer {
  readonly mails: Mail[] = [];
  /** Commands as they came, without their arguments' secrets. */
  readonly commands: string[] = [];
  /** What isn't as RFC 5321 has it. */
  readonly wrong: string[] = [];
  /** Answers a command in the server's place; "" hangs up. `DATA` and `.` are asked too. */
  reply: (command: string) => string | undefined = () => undefined;
  readonly #options: SmtpOptions;
  readonly #server: Server;
  readonly #upgraded: Server | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(options: SmtpOptions = {}) {
    this.#options = options;
    const { certificate, secure = false } = options;
    const keep = (socket: Socket, encrypted: boolean): void => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      this.#talk(socket, encrypted);
    };
    const tls = (greets: boolean): Server =>
      createTlsServer(
        { cert: certificate!.cert, key: certificate!.key },
        (socket) => greets ? keep(socket, true) : this.#upgrade(socket),
      ).on("tlsClientError", () => {});
    this.#server = secure ? tls(true) : createServer((socket) => keep(socket, false));
    // What follows STARTTLS is handed to a server of TLS: neither runtime upgrades a server's socket.
    this.#upgraded = !secure && certificate !== undefined ? tls(false) : undefined;
  }

  #upgrade(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    this.#talk(socket, true, false);
  }

  async open(): Promise<void> {
    for (const server of [this.#server, this.#upgraded]) {
      if (server === undefined) continue;
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
    }
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of [this.#server, this.#upgraded]) {
      if (server !== undefined) await new Promise((resolve) => server.close(resolve));
    }
  }

  #talk(socket: Socket, encrypted: boolean, greets = true): void {
    const { certificate, login, methods = ["PLAIN", "LOGIN"] } = this.#options;
    let rest = "";
    let user: string | undefined;
    let from: string | undefined;
    let to: string[] = [];
    let letter: string[] | undefined;
    /** What the next line is, within AUTH. */
    let expecting: ((line: string) => void) | undefined;
    const say = (text: string): void => void socket.write(`${text}\r\n`);
    const answer = (command: string, usual: string): boolean => {
      const text = this.reply(command) ?? usual;
      if (text === "") socket.destroy();
      else say(text);
      return text.startsWith("2") || text.startsWith("3");
    };
    const text = (base64: string): string => Buffer.from(base64, "base64").toString();
    const check = (name: string, password: string): void => {
      const right = name === login?.user && password === login.password;
      if (answer("AUTH", right ? "235 2.7.0 Welcome" : "535 5.7.8 Bad credentials")) user = name;
    };
    const auth = (words: readonly string[]): void => {
      const [, method = "", initial] = words;
      if (method === "PLAIN") {
        const read = (line: string): void => {
          const [, name = "", password = ""] = text(line).split("\0");
          check(name, password);
        };
        if (initial !== undefined) return read(initial);
        expecting = read;
        return say("334 ");
      }
      expecting = (name) => {
        expecting = (password) => check(text(name), text(password));
        say("334 UGFzc3dvcmQ6");
      };
      say("334 VXNlcm5hbWU6");
    };
    const command = (line: string): void => {
      const verb = line.split(" ", 1)[0]!.toUpperCase();
      this.commands.push(verb === "AUTH" ? line.split(" ", 2).join(" ") : line);
      if (line.length > 510) this.wrong.push(`a command is too long: ${line.slice(0, 50)}`);
      switch (verb) {
        case "EHLO": {
          const offers = [
            "small.example",
            "8BITMIME",
            "SIZE 1000000",
            ...(certificate !== undefined && !encrypted ? ["STARTTLS"] : []),
            ...(login === undefined ? [] : [`AUTH ${methods.join(" ")}`]),
          ];
          const lines = offers.map((each, i) => `250${i < offers.length - 1 ? "-" : " "}${each}`);
          return void answer("EHLO", lines.join("\r\n"));
        }
        case "STARTTLS": {
          if (this.#upgraded === undefined || encrypted) return say("502 5.5.1 Not here");
          if (!answer("STARTTLS", "220 2.0.0 Go ahead")) return;
          const inner = connect((this.#upgraded.address() as AddressInfo).port, "127.0.0.1");
          this.#sockets.add(inner);
          inner.on("error", () => socket.destroy());
          socket.removeAllListeners("data");
          return void socket.pipe(inner).pipe(socket);
        }
        case "AUTH":
          if (login === undefined) return say("502 5.5.1 Not here");
          return auth(line.split(" "));
        case "MAIL": {
          const [, address] = /^MAIL FROM:<([^<>\s]*)>( SIZE=\d+)?( BODY=8BITMIME)?$/.exec(line) ??
            [];
          if (address === undefined) this.wrong.push(line);
          if (login !== undefined && user === undefined) {
            return say("530 5.7.0 Authentication required");
          }
          if (answer(`MAIL ${address}`, "250 2.1.0 Sender ok")) from = address;
          return;
        }
        case "RCPT": {
          const [, address] = /^RCPT TO:<([^<>\s]+)>$/.exec(line) ?? [];
          if (address === undefined || from === undefined) this.wrong.push(line);
          if (answer(`RCPT ${address}`, "250 2.1.5 Recipient ok")) to.push(address!);
          return;
        }
        case "DATA":
          if (to.length === 0) return say("503 5.5.1 No recipient");
          if (answer("DATA", "354 Go on")) letter = [];
          return;
        case "QUIT":
          say("221 2.0.0 Bye");
          return void socket.end();
        case "RSET":
          [from, to] = [undefined, []];
          return say("250 2.0.0 Ok");
        default:
          this.wrong.push(line);
          return say("500 5.5.2 What?");
      }
    };
    const ofLetter = (line: string): void => {
      if (line.length > 998) this.wrong.push(`a line of ${line.length} characters`);
      if (/[\r\n\0]/.test(line)) this.wrong.push("a bare CR or LF, or a NUL");
      if (/[\x80-\xff]/.test(line)) this.wrong.push("8 bits where the client said 7");
      if (line !== ".") return void letter!.push(line.startsWith(".") ? line.slice(1) : line);
      const raw = letter!.map((each) => `${each}\r\n`).join("");
      letter = undefined;
      if (answer(".", "250 2.0.0 Queued as 12345")) {
        this.mails.push({ from: from!, to, raw, encrypted, user });
      }
      [from, to] = [undefined, []];
    };
    socket.on("data", (data: Uint8Array) => {
      rest += Buffer.from(data).toString("latin1");
      for (let end = rest.indexOf("\r\n"); end !== -1; end = rest.indexOf("\r\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (letter !== undefined) ofLetter(line);
        else if (expecting !== undefined) {
          const read = expecting;
          expecting = undefined;
          read(line);
        } else command(line);
      }
    });
    if (greets) answer("", "220 small.example ESMTP");
  }
}
