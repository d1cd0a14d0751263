// The server: the API, metrics, the stream of events and the dashboard, over one address.
import { hostname } from "node:os";
import type { Hono } from "hono";
import type { View } from "../../core/view/view.ts";
import { needsToken } from "../../core/error.ts";
import { hostAndPort, parseAddress } from "./address.ts";
import { apiRoutes } from "./api.ts";
import { makeApp } from "./app.ts";
import type { Asking } from "./asking.ts";
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
import { makeNotices } from "./notice.ts";
import type { Notices } from "./notice.ts";
import { openApiDocument } from "./openapi.ts";
import type { Route } from "./route.ts";
import { serviceRoutes } from "./service.ts";
import type { MetricsAnswer } from "./service.ts";

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
  /** What `/metrics` answers to whoever accepts what. */
  readonly metrics?: MetricsAnswer | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface Server {
  /** Where it is, as for a browser: `http://127.0.0.1:8787`; a path for a unix socket. */
  readonly url: string;
  /** Where others than this machine can open it; undefined where they can't. */
  readonly link: string | undefined;
  /** From now on there is something to see. Until then the API answers 503. */
  show(view: View): void;
  /** Ends streams, lets what is being answered be answered for a second, and closes. */
  close(): Promise<void>;
}

/** What there is to see: undefined until it is shown. */
interface Shown {
  readonly view: () => View | undefined;
  readonly hub: () => EventHub | undefined;
}

/** The application of a server that has got a port, and the routes that it is made of. */
export function serverApp(
  options: ServerOptions,
  { port, limits, notices, shown }: {
    readonly port: number;
    readonly limits: Limits;
    readonly notices: Notices;
    readonly shown: Shown;
  },
): { readonly app: Hono<Asking>; readonly routes: readonly Route[] } {
  const { token, log, allowedHosts = [], files, metrics, now = Date.now } = options;
  const names = namesOf({ address: parseAddress(options.address), port, allowedHosts });
  const gate: Gate = {
    isToken: token === undefined ? null : tokenTest(token),
    sessions: makeSessions(limits, { name: `${hostname()} ${options.address} ${port}`, now }),
    failures: makeBuckets(limits.failures, { most: limits.addresses, now }),
  };
  let document: unknown;
  const routes: readonly Route[] = [
    ...apiRoutes(now),
    ...serviceRoutes({
      ...shown,
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
  const work = makeBuckets(limits.work, { most: limits.addresses, now });
  return { app: makeApp(routes, { guards, gate, work, view: shown.view, log }), routes };
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
  const { token, log, now = Date.now } = options;
  const address = parseAddress(options.address);
  if (token === undefined && address.kind === "tcp" && address.reach !== "loopback") {
    throw needsToken(options.address);
  }
  if (token !== undefined) tokenTest(token);
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const notices = makeNotices(log, now);
  let view: View | undefined;
  let hub: EventHub | undefined;
  const shown: Shown = { view: () => view, hub: () => hub };
  const listening = await listen({
    address,
    shown: options.address,
    limits,
    notices,
    log,
    handler(port) {
      const { app } = serverApp(options, { port, limits, notices, shown });
      return (request, client) => app.fetch(request, { client });
    },
  });
  const url = address.kind === "unix"
    ? `unix:${address.path}`
    : `http://${hostAndPort(address.host, listening.port)}`;
  const reach = address.kind === "unix" ? "loopback" : address.reach;
  return {
    url,
    link: reach === "loopback"
      ? undefined
      : reach === "one"
      ? url
      : `http://${hostAndPort(hostname(), listening.port)}`,
    show(next) {
      hub?.close();
      view = next;
      hub = makeEventHub({ view: next, limits, notices, now });
    },
    async close() {
      hub?.close();
      hub = undefined;
      view = undefined;
      await listening.close();
    },
  };
}
