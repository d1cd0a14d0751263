import { describe, expect, test } from "bun:test";
import { makeJournal } from "./journal.ts";

describe("what became of alerts", () => {
  test("waits in its order until it is kept", () => {
    const journal = makeJournal();
    journal.note({ at: 1, kind: "fired", fingerprint: "a", text: "X" });
    journal.note({ at: 2, kind: "queued", fingerprint: "a", message: "m", sink: "ops" });
    journal.note({ at: 3, kind: "delivered", message: "m", sink: "ops" });
    expect(journal.waiting).toEqual([
      { at: 1, kind: "fired", fingerprint: "a", message: "", sink: "", text: "X" },
      { at: 2, kind: "queued", fingerprint: "a", message: "m", sink: "ops", text: "" },
      { at: 3, kind: "delivered", fingerprint: "", message: "m", sink: "ops", text: "" },
    ]);
    journal.kept(2);
    expect(journal.waiting.map(({ at }) => at)).toEqual([3]);
    journal.kept(1);
    expect(journal.waiting).toEqual([]);
  });

  test("is bounded where it can't be kept: the oldest is let go", () => {
    const journal = makeJournal();
    for (let at = 0; at < 120_000; at++) journal.note({ at, kind: "fired" });
    expect(journal.waiting.length).toBeLessThanOrEqual(50_000);
    expect(journal.waiting.at(-1)!.at).toBe(119_999);
    expect(journal.waiting[0]!.at).toBe(120_000 - journal.waiting.length);
  });
});
