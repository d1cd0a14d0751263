// The sessions of browsers that have logged in: in memory, a bounded number, for a bounded time. The
// cookie is a number drawn by lot; only its digest is kept.
import { createHash, randomBytes } from "node:crypto";
import type { Limits } from "../limit.ts";

export interface Sessions {
  /** The cookie's name. */
  readonly cookie: string;
  /** How long one lasts, in seconds. */
  readonly seconds: number;
  /** Begins one, and returns what its cookie holds. Where there are too many the oldest ends. */
  begin(): string;
  has(value: string): boolean;
  end(value: string): void;
}

const digest = (value: string): string => createHash("sha256").update(value).digest("base64");

/**
 * Sessions of a server. Browsers don't keep the cookies of two ports apart, so `name` (host and port)
 * goes into the cookie's: two servers that are looked at through tunnels don't end each other's sessions.
 */
export function makeSessions(
  { sessions: most, sessionTime }: Pick<Limits, "sessions" | "sessionTime">,
  { name, now }: { readonly name: string; readonly now: () => number },
): Sessions {
  const ends = new Map<string, number>();
  return {
    cookie: `dropwatch_${createHash("sha256").update(name).digest("hex").slice(0, 8)}`,
    seconds: Math.floor(sessionTime / 1000),
    begin() {
      const value = randomBytes(32).toString("base64url");
      ends.set(digest(value), now() + sessionTime);
      if (ends.size > most) ends.delete(ends.keys().next().value!);
      return value;
    },
    has(value) {
      const key = digest(value);
      const end = ends.get(key);
      if (end !== undefined && now() >= end) ends.delete(key);
      return end !== undefined && now() < end;
    },
    end: (value) => void ends.delete(digest(value)),
  };
}
