import { describe, expect, test } from "bun:test";
import { through } from "../../../test/guard.ts";
import { limitRate } from "./rate.ts";

describe("requests of one address", () => {
  const limits = {
    reads: { perSecond: 10, burst: 5 },
    writes: { perSecond: 0.1, burst: 2 },
    addresses: 100,
  };

  test("beyond the pace are refused with how long to wait; others' aren't, and writing is apart", async () => {
    const log: string[] = [];
    let now = 0;
    const ask = through(limitRate(limits, {
      now: () => now,
      notices: { say: (_, message) => void log.push(message) },
    }));
    const statuses = async (n: number, method: string, client: string): Promise<number[]> => {
      const found: number[] = [];
      for (let i = 0; i < n; i++) found.push((await ask({ method, client })).status);
      return found;
    };
    expect(await statuses(6, "GET", "a")).toEqual([200, 200, 200, 200, 200, 429]);
    expect(await statuses(1, "GET", "b")).toEqual([200]);
    expect(await statuses(3, "POST", "a")).toEqual([200, 200, 429]);
    expect(await statuses(1, "DELETE", "a")).toEqual([429]);
    const refused = await ask({ method: "POST", client: "a" });
    expect(refused.headers.get("retry-after")).toBe("10");
    expect(await refused.json()).toEqual({
      error: {
        code: "TOO_MANY_REQUESTS",
        message: "Cannot answer so many requests of one address: wait 10 s",
      },
    });
    expect(log[0]).toBe("the server refuses requests of a: they are too many");
    now = 10_000;
    expect(await statuses(1, "POST", "a")).toEqual([200]);
  });
});
