import { expect, test } from "bun:test";
import { makeNotices } from "./notice.ts";

test("of a kind one notice is said a minute, with how many there were", () => {
  const log: string[] = [];
  let now = 0;
  const { say } = makeNotices((message) => void log.push(message), () => now);
  for (let i = 0; i < 5; i++) say("a", `a${i}`);
  say("b", "b");
  expect(log).toEqual(["a0", "b"]);
  now = 60_000;
  say("a", "a5");
  say("a", "a6");
  expect(log).toEqual(["a0", "b", "a5 (and 4 times since that was said last)"]);
});
