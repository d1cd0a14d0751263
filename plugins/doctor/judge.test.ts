// A finding is right where what was told is what was sent, and wrong where any part of it differs.
import { describe, expect, test } from "bun:test";
import type { AlertData } from "../../core/alert/alert.ts";
import { aspects, judge, skipped } from "./judge.ts";
import type { Aspect, Check, Knowledge, Told } from "./judge.ts";
import { nameOf, trials } from "./trial.ts";
import type { Sent, Trial } from "./trial.ts";

const find = (reason: string, family: 4 | 6): Trial =>
  trials.find((trial) => trial.cause.reason === reason && trial.family === family)!;
const trial = find("SOCKET_FILTER", 4);

const sent: Sent = {
  packets: 1000,
  drops: 1000,
  saddr: "10.203.0.1",
  sports: [40_123],
  daddr: "10.203.0.2",
  dport: 5003,
};

const known: Knowledge = {
  fields: true,
  receivers: true,
  devices: { a: "veth-a", b: "veth-b" },
  netns: { a: 4001, b: 4002 },
  owners: {
    sender: { name: "dw-sender", pid: 11 },
    receiver: { name: "dw-receiver", pid: 12 },
  },
};

const flow = {
  l4: "UDP",
  saddr: "10.203.0.1",
  sport: "40123",
  daddr: "10.203.0.2",
  dport: "5003",
  dev: "veth-b",
  drops: 32,
};

const counter = {
  reason: "SOCKET_FILTER",
  counted: 1000,
  kernel: 1000,
  agrees: true,
  seconds: 2,
  names: ["UdpInErrors"],
  less: ["UdpInCsumErrors"],
  grew: [{ netns: "4002", name: "UdpInErrors", by: 1000 }],
  note: "",
};

const evidence = {
  kept: 32,
  ownerKnown: true,
  owners: [{ owner: "dw-receiver", pid: "12", drops: 32 }],
  site: "udp_queue_rcv_one_skb",
  flows: [flow],
  reasons: [{ reason: "SOCKET_FILTER", class: "policy", means: "", drops: 32 }],
  counters: [counter],
};

function told(
  changes: Partial<Omit<AlertData, "evidence">> & { evidence?: Record<string, unknown> } = {},
): Told {
  const { total = 1000, evidence: changed, ...rest } = changes;
  const alert = {
    labels: { reason: "SOCKET_FILTER" },
    value: 1000,
    exact: true,
    ...rest,
    evidence: { ...evidence, ...changed },
  } as unknown as AlertData;
  return { alert, total, reasons: new Map() };
}

const verdicts = ({ findings }: Check): Record<string, string> =>
  Object.fromEntries(aspects.map((aspect) => [aspect, findings![aspect].verdict]));
const right: Record<string, string> = Object.fromEntries(
  aspects.map((aspect) => [aspect, "right"]),
);

test("a trial of which all is told as it was sent is right", () => {
  const check = judge(trial, sent, told(), known);
  expect(verdicts(check)).toEqual(right);
  expect(check).toMatchObject({ kind: "SOCKET_FILTER", family: 4, verdict: "right", sent: 1000 });
});

describe("wrong is", () => {
  const cases: readonly (readonly [string, Aspect, Told])[] = [
    ["another name", "name", told({ labels: { reason: "SOCKET_RCVBUFF" } })],
    [
      "a second name",
      "name",
      told({
        evidence: { reasons: [...evidence.reasons, { reason: "NO_SOCKET" }] },
      }),
    ],
    [
      "the sender as the owner",
      "owner",
      told({
        evidence: { owners: [{ owner: "dw-sender", pid: "11", drops: 32 }] },
      }),
    ],
    [
      "another process of that name",
      "owner",
      told({
        evidence: { owners: [{ owner: "dw-receiver", pid: "13", drops: 32 }] },
      }),
    ],
    [
      "a second owner",
      "owner",
      told({
        evidence: { owners: [...evidence.owners, { owner: "cat", pid: "9", drops: 1 }] },
      }),
    ],
    ["an owner of only some", "owner", told({ evidence: { ownerKnown: false } })],
    ["an owner that isn't known", "owner", told({ evidence: { ownerKnown: false, owners: [] } })],
    ["another site", "site", told({ evidence: { site: "sk_skb_reason_drop" } })],
    ["no site", "site", told({ evidence: { site: "" } })],
    ["one drop too few", "count", told({ value: 999, total: 999 })],
    ["one drop too many", "count", told({ value: 1001, total: 1001 })],
    ["a drop that came later", "count", told({ total: 1001 })],
    ["a number that isn't exact", "count", told({ exact: false })],
    ["no flow", "flow", told({ evidence: { flows: [] } })],
    ...Object.entries({
      l4: "TCP",
      saddr: "10.203.0.2",
      sport: "40124",
      daddr: "10.203.0.1",
      dport: "5004",
      dev: "veth-a",
    }).map(([field, value]): readonly [string, Aspect, Told] => [
      `another ${field}`,
      "flow",
      told({ evidence: { flows: [flow, { ...flow, [field]: value }] } }),
    ]),
    ...Object.entries({
      "that doesn't agree": { agrees: false, kernel: 1100 },
      "that has less": { grew: [{ netns: "4002", name: "UdpInErrors", by: 999 }] },
      "that has more": { grew: [{ netns: "4002", name: "UdpInErrors", by: 1001 }] },
      "that grew elsewhere": { grew: [{ netns: "1", name: "UdpInErrors", by: 1000 }] },
    }).map(([what, changed]): readonly [string, Aspect, Told] => [
      `a counter ${what}`,
      "counters",
      told({ evidence: { counters: [{ ...counter, ...changed }] } }),
    ]),
  ];
  for (const [name, aspect, what] of cases) {
    test(name, () => {
      const check = judge(trial, sent, what, known);
      expect(verdicts(check)).toEqual({ ...right, [aspect]: "wrong" });
      expect(check.verdict).toBe("wrong");
      const { expected, found } = check.findings![aspect];
      expect(found).not.toBe("");
      expect(expected).not.toBe("");
    });
  }
});

test("without an alert all is wrong, and what was counted instead is told", () => {
  const reasons = new Map([["NOT_SPECIFIED", 1000], ["NO_SOCKET", 3]]);
  const check = judge(trial, sent, { alert: undefined, total: 0, reasons }, known);
  expect(check.verdict).toBe("wrong");
  expect(check.findings!.name.found)
    .toBe("no alert; counted meanwhile: NOT_SPECIFIED 1000, NO_SOCKET 3");
});

describe("where the kernel has no socket", () => {
  const other = find("NO_SOCKET", 4);
  const plain = {
    reasons: [{ reason: "NO_SOCKET" }],
    site: "__udp4_lib_rcv",
    counters: [],
  };
  const of = (owners: Record<string, unknown>): Told =>
    told({ labels: { reason: "NO_SOCKET" }, evidence: { ...plain, ...owners } });

  test("the owner is right when it is unknown, and wrong when it is a guess", () => {
    const unknown = judge(other, sent, of({ ownerKnown: false, owners: [] }), known);
    expect(verdicts(unknown)).toEqual({ ...right, counters: "none" });
    expect(verdicts(judge(other, sent, of({}), known)).owner).toBe("wrong");
  });
});

test("before Linux 6.11 nobody knows the receiver; a wrong one is wrong there too", () => {
  const early = { ...known, receivers: false };
  const unknown = told({ evidence: { ownerKnown: false, owners: [] } });
  expect(verdicts(judge(trial, sent, unknown, early))).toEqual({ ...right, owner: "none" });
  const guessed = told({ evidence: { owners: [{ owner: "dw-sender", pid: "11", drops: 1 }] } });
  expect(verdicts(judge(trial, sent, guessed, early)).owner).toBe("wrong");
});

test("without BTF owner and flow can't be told, and the drops of others are counted too", () => {
  const bare = { ...known, fields: false };
  const some = told({
    value: 1010,
    total: 5000,
    evidence: { owners: [], ownerKnown: false, flows: [] },
  });
  expect(verdicts(judge(trial, sent, some, bare)))
    .toEqual({ ...right, owner: "none", flow: "none" });
  expect(verdicts(judge(trial, sent, told({ value: 999 }), bare)).count).toBe("wrong");
});

test("a kernel whose counters weren't read in time is no fault", () => {
  const check = judge(trial, sent, told({ evidence: { counters: [] } }), known);
  expect(check).toMatchObject({ verdict: "right", findings: { counters: { verdict: "none" } } });
});

test("drops of others are in the counters too, and what was read before says nothing", () => {
  const of = (changes: Partial<typeof counter>): string | undefined => {
    const counters = [{ ...counter, ...changes }];
    return verdicts(judge(trial, sent, told({ evidence: { counters } }), known)).counters;
  };
  // Made within the last seconds, their namespace isn't read yet; or it had drops before we began.
  expect(of({ counted: 1020, agrees: false })).toBe("right");
  const before = { netns: "1", name: "UdpInErrors", by: 5000 };
  expect(of({ kernel: 6000, grew: [before, ...counter.grew], agrees: false })).toBe("right");
  expect(of({ counted: 200, kernel: 200 })).toBe("none");
  const more = { netns: "4002", name: "UdpInErrors", by: 1300 };
  expect(of({ grew: [more, { ...more, name: "UdpInCsumErrors", by: 300 }] })).toBe("right");
});

test("where others came first nothing was kept of ours; where there were none that is wrong", () => {
  const { alert, total } = told();
  const empty = { alert: { ...alert!, evidence: { kept: 0, counters: [counter] } }, total };
  const of = (reasons: ReadonlyMap<string, number>): Record<string, string> =>
    verdicts(judge(trial, sent, { ...empty, reasons }, known));
  const kept = ["owner", "site", "flow"] as const;
  const crowded = of(new Map([["SOCKET_FILTER", 90_000]]));
  expect(crowded).toEqual({ ...right, ...Object.fromEntries(kept.map((each) => [each, "none"])) });
  expect(of(new Map([["SOCKET_FILTER", 1000]])).owner).toBe("wrong");
});

test("a trial that wasn't made says why, and is neither right nor wrong", () => {
  expect(skipped(trial, "nft is missing"))
    .toEqual({
      kind: "SOCKET_FILTER",
      family: 4,
      verdict: "skipped",
      sent: 0,
      why: "nft is missing",
    });
});

test("there are trials of ten kinds, in both families where Linux has both, each with its port", () => {
  expect(new Set(trials.map(({ cause }) => cause.reason)).size).toBe(10);
  expect(new Set(trials.map(({ port }) => port)).size).toBe(trials.length);
  expect(new Set(trials.map(nameOf)).size).toBe(trials.length);
  for (const { cause, family } of trials) expect(cause.sites[family].length).toBeGreaterThan(0);
});
