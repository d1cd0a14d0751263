// Who may ask: whoever knows the token, or has a session because they knew it.
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { badToken, tooManyRequests, unauthorized } from "../../../core/error.ts";
import type { Asking } from "../asking.ts";
import type { Buckets } from "./bucket.ts";
import type { Sessions } from "./session.ts";

/**
 * A test of whether a text is the token, in a time that doesn't tell how much of it was right.
 *
 * @throws DropwatchError BAD_TOKEN where it is too short to be one, or can't stand in a header.
 */
export function tokenTest(token: string): (given: string) => boolean {
  if (!/^[\x21-\x7e]{16,512}$/.test(token)) throw badToken();
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const wanted = digest(token);
  return (given) => timingSafeEqual(wanted, digest(given));
}

/** What decides who may ask. */
export interface Gate {
  /** Null where nobody needs a token. */
  readonly isToken: ((given: string) => boolean) | null;
  readonly sessions: Sessions;
  /** Wrong tokens, by address. */
  readonly failures: Buckets;
}

/** What a request shows for itself: `wrong` is a token that isn't ours, `none` is none. */
export type Right =
  | { readonly may: true; readonly allowed: () => boolean }
  | { readonly may: false; readonly why: "none" | "wrong" };

/** Whether a request may be answered, by its token or its cookie. */
export function rightOf(
  authorization: string | undefined,
  session: string | undefined,
  { isToken, sessions }: Gate,
): Right {
  if (isToken === null) return { may: true, allowed: () => true };
  if (authorization !== undefined) {
    const given = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1];
    if (given !== undefined && isToken(given)) return { may: true, allowed: () => true };
    return { may: false, why: "wrong" };
  }
  if (session !== undefined && sessions.has(session)) {
    return { may: true, allowed: () => sessions.has(session) };
  }
  // A cookie that is over is no guess.
  return { may: false, why: "none" };
}

/**
 * Refuses who has no right. A token is always looked at, however many wrong ones came from the same
 * address: a scraper with an old one, behind the same proxy, must not shut out all others. What keeps
 * guessing hopeless is the token's length.
 */
export function needToken(gate: Gate): MiddlewareHandler<Asking> {
  return async (c, next) => {
    const right = rightOf(
      c.req.header("authorization"),
      getCookie(c, gate.sessions.cookie),
      gate,
    );
    if (!right.may) {
      const wait = right.why === "wrong" ? gate.failures.take(c.env.client) : 0;
      if (wait > 0) throw tooManyRequests(wait);
      throw unauthorized(
        right.why === "wrong" ? "that of Authorization isn't it" : "there is none",
      );
    }
    c.set("allowed", right.allowed);
    await next();
  };
}
