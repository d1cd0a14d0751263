// What people read: a row a check, and what was expected and found where one is wrong.
import { describe, expect, test } from "bun:test";
import { costOf } from "./cost.ts";
import type { Aspect, Check, Findings } from "./judge.ts";
import { allRight, showChecks, showCost, showSums, sumsOf } from "./report.ts";

const right = { verdict: "right", expected: "x", found: "x" } as const;
const none = { verdict: "none", expected: "", found: "the kernel has no counter for it" } as const;
const findings = (changes: Partial<Findings> = {}): Record<Aspect, Findings[Aspect]> => ({
  name: right,
  owner: right,
  site: right,
  count: right,
  flow: right,
  counters: none,
  ...changes,
});
const good: Check = {
  kind: "NO_SOCKET",
  family: 4,
  verdict: "right",
  sent: 1000,
  findings: findings(),
};
const bad: Check = {
  ...good,
  kind: "QDISC_DROP",
  family: 6,
  verdict: "wrong",
  findings: findings({ count: { verdict: "wrong", expected: "998", found: "1000" } }),
};
const missed: Check = {
  kind: "NETFILTER_DROP",
  family: 4,
  verdict: "skipped",
  sent: 0,
  why: 'Cannot find "nft"',
};

test("each check has a row; a wrong one what was expected and found; a skipped one why", () => {
  expect(showChecks([good, bad, missed])).toBe(
    `
drop            IP     sent  name  owner  site  count  flow  cross-check
NO_SOCKET       v4    1,000  ✓     ✓      ✓     ✓      ✓     –
QDISC_DROP      v6    1,000  ✓     ✓      ✓     ✗      ✓     –
    count: expected 998
              found 1000
NETFILTER_DROP  v4        –  skipped: Cannot find "nft"`.slice(1),
  );
});

describe("the sums", () => {
  test("count verdicts", () => {
    expect(showSums(sumsOf([good, bad, missed]))).toBe("3 checks: 1 right, 1 wrong, 1 skipped");
  });

  test("are all right only where something is right, and nothing wrong", () => {
    expect(allRight(sumsOf([good]))).toBe(true);
    expect(allRight(sumsOf([good, missed]))).toBe(true);
    expect(allRight(sumsOf([good, bad]))).toBe(false);
    expect(allRight(sumsOf([missed]))).toBe(false);
    expect(allRight(sumsOf([]))).toBe(false);
  });
});

test("the cost is that of undisturbed slices in an undisturbed run", () => {
  const cost = costOf(
    [[1100, 9000, 1110, 1120, 5000], [2100, 2100, 2200, 9000, 2300]],
    [[2400, 2410, 2400, 2500, 9000], [1400, 1410, 20_000, 1420, 9000]],
  );
  expect(cost).toEqual({ plain: 1110, added: 300 });
  expect(showCost(cost)).toBe("+300 ns a drop (plain send 1,110 ns)");
  expect(showCost({ plain: 900, added: -3 })).toBe("-3 ns a drop (plain send 900 ns)");
});
