import { describe, expect, test } from "bun:test";
import { through } from "../../../test/guard.ts";
import { makeBuckets } from "./bucket.ts";
import { makeSessions } from "./session.ts";
import { needToken, tokenTest } from "./token.ts";
import type { Gate } from "./token.ts";

const token = "0123456789abcdef";

function gateWith(given: string | null = token, burst = 3): Gate {
  const now = (): number => 0;
  return {
    isToken: given === null ? null : tokenTest(given),
    sessions: makeSessions({ sessions: 10, sessionTime: 1000 }, { name: "x", now }),
    failures: makeBuckets({ perSecond: 0.1, burst }, { most: 10, now }),
  };
}

describe("a token", () => {
  test.each([
    "",
    "short",
    "0123456789abcde",
    "0123456789abcde f",
    "0123456789abcdef\n",
    "0123456789abcdefé",
    "x".repeat(513),
  ])("\"%s\" can't be one, and isn't repeated", (given) => {
    let message = "";
    try {
      tokenTest(given);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain("16 to 512 visible ASCII characters");
    if (given !== "") expect(message).not.toContain(given);
  });

  test("is told from all others", () => {
    const is = tokenTest(token);
    expect(is(token)).toBe(true);
    for (const other of ["", token.slice(1), `${token}0`, token.toUpperCase(), "x".repeat(9999)]) {
      expect(is(other)).toBe(false);
    }
  });
});

describe("who asks", () => {
  const status = async (
    ask: ReturnType<typeof through>,
    authorization?: string,
    cookie?: string,
  ): Promise<number> =>
    (await ask({
      headers: {
        ...(authorization === undefined ? {} : { authorization }),
        ...(cookie === undefined ? {} : { cookie }),
      },
    })).status;

  test("needs the token, as Bearer", async () => {
    const ask = through(needToken(gateWith(token, 100)));
    expect(await status(ask, `Bearer ${token}`)).toBe(200);
    expect(await status(ask, `bearer  ${token}`)).toBe(200);
    for (
      const wrong of [
        undefined,
        "",
        "Bearer",
        "Bearer ",
        token,
        `Basic ${token}`,
        `Bearer ${token}0`,
        `Bearer ${token} ${token}`,
        `Bearer x${token}`,
      ]
    ) expect([wrong, await status(ask, wrong)]).toEqual([wrong, 401]);
    const refused = await ask({});
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="dropwatch"');
  });

  test("may have a session instead; a wrong token isn't made good by it", async () => {
    const gate = gateWith();
    const ask = through(needToken(gate));
    const cookie = `${gate.sessions.cookie}=${gate.sessions.begin()}`;
    expect(await status(ask, undefined, cookie)).toBe(200);
    expect(await status(ask, undefined, `other=1; ${cookie}`)).toBe(200);
    expect(await status(ask, undefined, `${gate.sessions.cookie}=${token}`)).toBe(401);
    expect(await status(ask, undefined, `x${cookie}`)).toBe(401);
    expect(await status(ask, "Bearer wrong", cookie)).toBe(401);
  });

  test("is asked to wait after too many wrong tokens, but the right one is always let in", async () => {
    const ask = through(needToken(gateWith()));
    const wrong: number[] = [];
    for (let i = 0; i < 5; i++) wrong.push(await status(ask, "Bearer wrong"));
    expect(wrong).toEqual([401, 401, 401, 429, 429]);
    expect(await status(ask, `Bearer ${token}`)).toBe(200);
    // Who shows nothing hasn't guessed.
    expect(await status(ask)).toBe(401);
  });

  test("needs nothing where there is no token", async () => {
    const ask = through(needToken(gateWith(null)));
    expect([await status(ask), await status(ask, "Bearer whatever")]).toEqual([200, 200]);
  });
});
