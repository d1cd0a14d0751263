// The server: the API, metrics, the stream of events and the dashboard, over one address.
import type { View } from "../../core/view/view.ts";
import { needsToken } from "../../core/error.ts";
import { hostAndPort, parseAddress } from "./address.ts";
import { apiRoutes } from "./api.ts";
import { makeApp } from "./app.ts";
import { serveAssets } from "./asset.ts";
import type { DashboardFiles } from "./asset.ts";
import { makeEventHub } from "./event_stream.ts";
import type { EventHub } from "./event_stream.ts";
import { makeBuckets } from "./guard/bucket.ts";
import { checkHost, namesOf } from "./guard/host.ts";
import { checkOrigin } from "./guard/origin.ts";
import { limitRate } from "./guard/rate.ts";
import { secureHeaders } from "./guard/secure.ts";
import { makeSessions } from "./guard/session.ts";
import { tokenTest } from "./guard/token.ts";
import type { Gate } from "./guard/token.ts";
import { defaultLimits } from "./limit.ts";
import type { Limits } from "./limit.ts";
import { listen } from "./listen.ts";
import type { Handle } from "./listen.ts";
import { makeNotices } from "./notice.ts";
import { openApiDocument } from "./openapi.ts";
import type { Route } from "./route.ts";
import { serviceRoutes } from "./service.ts";

export interface ServerOptions {
  /** Where to listen: see `parseAddress`. */
  readonly address: string;
  /** What has to be known to ask; without it only this machine can be listened on. */
  readonly token?: string | undefined;
  readonly log: (message: string) => void;
  /** Names of proxies and of this machine that may stand in `Host`: `drops.example.org`, or with a port. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** The dashboard; asked for when it is first looked at. */
  readonly files?: (() => Promise<DashboardFiles>) | undefined;
  /** What `/metrics` answers. */
  readonly metrics?: ((view: View) => { readonly body: string; readonly type: string }) | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface Server {
  /** Where it is, as for a browser: `http://127.0.0.1:8787`; a path for a unix socket. */
  readonly url: string;
  /** From now on there is something to see. Until then the API answers 503. */
  show(view: View): void;
  /** Ends streams, lets what is being answered be answered for a second, and closes. */
  close(): Promise<void>;
}

/**
 * Opens the server. It answers at once, with 503 until a view is shown.
 *
 * @throws DropwatchError BAD_ADDRESS, NEEDS_TOKEN, BAD_TOKEN, ADDRESS_TAKEN, CANNOT_LISTEN.
 *
 * @example
 * ```ts
 * const server = await openServer({ address: "127.0.0.1:8787", log: console.error });
 * server.show(view);
 * ```
 */
export async function openServer(options: ServerOptions): Promise<Server> {
  const { token, log, allowedHosts = [], files, metrics, now = Date.now } = options;
  const address = parseAddress(options.address);
  if (token === undefined && address.kind === "tcp" && address.reach !== "loopback") {
    throw needsToken(options.address);
  }
  const isToken = token === undefined ? null : tokenTest(token);
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const notices = makeNotices(log, now);
  let view: View | undefined;
  let hub: EventHub | undefined;

  let document: unknown;

  const handlerFor = (port: number): Handle => {
    const names = namesOf({ address, port, allowedHosts });
    const gate: Gate = {
      isToken,
      sessions: makeSessions(limits, { name: `${options.address} ${port}`, now }),
      failures: makeBuckets(limits.failures, { most: limits.addresses, now }),
    };
    const routes: readonly Route[] = [
      ...apiRoutes(now),
      ...serviceRoutes({
        view: () => view,
        hub: () => hub,
        gate,
        assets: files && serveAssets(files, { now, log }),
        metrics,
        document: () => document ??= openApiDocument(routes),
      }),
    ];
    const guards = [
      secureHeaders(),
      checkHost(names),
      checkOrigin(names),
      limitRate(limits, { now, notices }),
    ];
    const app = makeApp(routes, { guards, gate, view: () => view, log });
    return (request: Request, client: string) => app.fetch(request, { client });
  };

  const listening = await listen({
    address,
    shown: options.address,
    limits,
    notices,
    log,
    handler: handlerFor,
  });
  return {
    url: address.kind === "unix"
      ? `unix:${address.path}`
      : `http://${hostAndPort(address.host, listening.port)}`,
    show(shown) {
      hub?.close();
      view = shown;
      hub = makeEventHub({ view: shown, limits, notices, now });
    },
    async close() {
      hub?.close();
      hub = undefined;
      view = undefined;
      await listening.close();
    },
  };
}
