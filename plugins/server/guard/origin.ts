// Pages of other origins may neither read nor do anything: no CORS headers are sent, and what such a
// page asks for isn't even looked at.
import type { MiddlewareHandler } from "hono";
import { foreignOrigin } from "../../../core/error.ts";
import type { Asking } from "../asking.ts";
import type { Names } from "./host.ts";

/** Refuses what a page of another origin asks for. */
export function checkOrigin(names: Names): MiddlewareHandler<Asking> {
  return async (c, next) => {
    const { req } = c;
    const origin = req.header("origin");
    if (origin !== undefined && !isOwn(origin, req.header("host") ?? "", names)) {
      throw foreignOrigin(origin);
    }
    const site = req.header("sec-fetch-site") ?? "none";
    // A link to the dashboard in a chat is cross-site too. It shows the page, which holds nothing secret
    // and can't be framed; its cookie isn't sent along (SameSite=Strict).
    const isLink = req.method === "GET" && req.path === "/" &&
      req.header("sec-fetch-mode") === "navigate" && req.header("sec-fetch-dest") === "document";
    if (site !== "none" && site !== "same-origin" && !isLink) {
      throw foreignOrigin(origin ?? site);
    }
    await next();
  };
}

function isOwn(origin: string, host: string, names: Names): boolean {
  const match = /^https?:\/\/([^/]+)$/.exec(origin);
  return match !== null && (match[1] === host || names.hasPages(match[1]!));
}
