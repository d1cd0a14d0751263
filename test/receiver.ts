// A web server on this machine that notes what it gets and answers as it is told.
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** It answers 204 unless it is told otherwise. */
export class Receiver {
  readonly received: Received[] = [];
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) =>
    void response.writeHead(204).end();
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const parts: Uint8Array[] = [];
      for await (const part of request) parts.push(part);
      const { method, url: path, headers } = request;
      this.received.push({ method, path, headers, body: Buffer.concat(parts).toString() });
      this.answer(request, response);
    });
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  url(path = "/hook"): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Answers with a status, headers and a text. */
  answers(status: number, headers: Record<string, string> = {}, text = ""): void {
    this.answer = (_, response) => void response.writeHead(status, headers).end(text);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
