// The shipped rules alert on what somebody should look at. What a machine drops in its normal life, or
// when sockets and devices go away, fires none of them, however much it is.
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { AlertMessage } from "../core/alert/alert.ts";
import { knowledge } from "../core/drop/knowledge.ts";
import { runPipeline } from "../core/pipeline.ts";
import { findRuleFiles, loadRules } from "../core/rule/load.ts";
import type { RuleSet } from "../core/rule/load.ts";
import { openMemoryStore } from "../core/store.ts";
import { replaySource } from "../plugins/sources/replay.ts";
import { makeFolder } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { randomFrom } from "./random.ts";

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

const shipped = fileURLToPath(new URL("../rules/", import.meta.url));
const names = Object.keys(knowledge).filter((name) => /^[A-Z]/.test(name));
const fields = [
  "l4",
  "saddr",
  "daddr",
  "sport",
  "dport",
  "tcpFlags",
  "retransmitted",
  "dev",
  "cpu",
  "owner",
  "ownerPort",
  "unit",
  "container",
] as const;

/** What a packet tells; the rest is empty. */
type Packet = Readonly<Partial<Record<typeof fields[number], string>>>;
/** Drops of one second that are alike. */
interface Drops {
  readonly second: number;
  readonly reason: string;
  readonly count: number;
  readonly packet: Packet;
}

const begin = 1_800_000_000_000;

/** A capture on a kernel with these reasons. */
async function capture(drops: readonly Drops[], reasons: readonly string[] = names) {
  const head = {
    dropwatch: "capture",
    version: 1,
    kernel: "6.18.44",
    reasons: Object.fromEntries(reasons.map((name, i) => [i + 2, name])),
    subsystems: { 0: "core" },
    fields: ["reason", ...fields],
  };
  const lines = drops.map(({ second, reason, count, packet }) =>
    JSON.stringify([
      begin + 1000 * second,
      count,
      reason,
      ...fields.map((field) => packet[field] ?? ""),
    ])
  );
  return replaySource({
    file: await folder.write("capture.ndjson", [JSON.stringify(head), ...lines, ""].join("\n")),
  });
}

async function loaded(
  source: Awaited<ReturnType<typeof capture>>,
  log: string[] = [],
): Promise<RuleSet> {
  return await loadRules({
    files: await findRuleFiles([shipped]),
    facts: () => source.facts(),
    interval: 1000,
    log: (line) => log.push(line),
  });
}

/** The alerts that fire, each once, with their severity. */
async function fired(drops: readonly Drops[]): Promise<string[]> {
  const source = await capture(drops);
  const log: string[] = [];
  const rules = await loaded(source, log);
  expect(rules.errors).toEqual([]);
  const told: AlertMessage[] = [];
  const store = openMemoryStore(false);
  try {
    await runPipeline({
      source,
      rules,
      sinks: [{ name: "kept", send: (message) => (told.push(message), Promise.resolve()) }],
      interval: 1000,
      maxKeys: 4096,
      signal: new AbortController().signal,
      log: (line) => log.push(line),
      store,
    });
  } finally {
    await rules.host.close();
    store.close();
  }
  expect(log).toEqual([]);
  return [
    ...new Set(
      told.filter(({ type }) => type === "alert.firing")
        .map(({ data }) => `${data.alert} ${data.severity}`),
    ),
  ];
}

/** So many drops of each of these reasons each second, for three minutes. */
function steady(reasons: readonly string[], count: number): Drops[] {
  const packet: Packet = {
    l4: "UDP",
    saddr: "192.0.2.1",
    daddr: "192.0.2.2",
    sport: "53",
    dport: "514",
    dev: "eth0",
    cpu: "1",
    owner: "syncthing",
    ownerPort: "514",
    unit: "syncthing.service",
    container: "4f1d2c3b4a59",
  };
  return Array.from({ length: 180 }, (_, second) => second)
    .flatMap((second) => reasons.map((reason) => ({ second, reason, count, packet })));
}

const ofClass = (...classes: readonly string[]): string[] =>
  names.filter((name) => classes.includes(knowledge[name as keyof typeof knowledge].class));

/** An hour of a server that faces the internet and is well. */
function normalHour(): Drops[] {
  const random = randomFrom(7);
  const drops: Drops[] = [];
  const eth = { dev: "eth0", daddr: "198.51.100.10" } as const;
  const stranger = (): string => `203.0.${random.int(0, 255)}.${random.int(1, 254)}`;
  const tcp = { l4: "TCP", tcpFlags: "SYN", sport: "40000", ...eth } as const;
  for (let second = 0; second < 3600; second++) {
    const add = (reason: string, count: number, packet: Packet): void => {
      if (count > 0) drops.push({ second, reason, count, packet });
    };
    const each = (seconds: number): number => second % seconds === 0 ? 1 : 0;

    // Strangers try closed ports, and one of them many in turn, for ten minutes.
    for (let i = 0; i < 3; i++) {
      add("NO_SOCKET", 1, { ...tcp, saddr: stranger(), dport: String(random.int(1, 65535)) });
    }
    add("NO_SOCKET", each(2), { ...tcp, saddr: stranger(), dport: random.pick(["23", "445"]) });
    add("NO_SOCKET", 1, {
      ...eth,
      l4: "UDP",
      saddr: stranger(),
      sport: "5060",
      dport: random.pick(["123", "1900", "5060", "11211"]),
    });
    if (second >= 1200 && second < 1800) {
      for (let i = 0; i < 3; i++) {
        const dport = String(1 + 3 * (second - 1200) + i);
        add("NO_SOCKET", 1, { ...tcp, saddr: "203.0.113.99", dport });
      }
    }
    // The firewall refuses others, and now and then what an updater wants.
    add("NETFILTER_DROP", 4, { ...tcp, saddr: stranger(), dport: String(random.int(1, 65535)) });
    add("NETFILTER_DROP", each(20), {
      l4: "TCP",
      saddr: "198.51.100.10",
      daddr: "192.0.2.80",
      dport: "80",
      dev: "eth0",
      owner: "updater",
      retransmitted: "yes",
    });
    // Answers to DNS questions come late; for some seconds many of them.
    add("NO_SOCKET", second >= 900 && second < 910 ? 10 : each(10), {
      ...eth,
      l4: "UDP",
      saddr: "192.0.2.53",
      sport: "53",
      dport: String(random.int(32768, 60999)),
    });
    // Routing: forged sources, traceroutes, path MTU discovery, a monitored host that is off.
    add("IP_RPFILTER", each(15), { ...eth, saddr: "10.1.2.3" });
    add("IP_INHDR", each(10), { ...eth, saddr: stranger() });
    add("PKT_TOO_BIG", 2 * each(30), {
      saddr: "198.51.100.10",
      daddr: stranger(),
      dev: "eth0",
    });
    add("IP_OUTNOROUTES", each(60), { owner: "chronyd", daddr: "192.0.2.123" });
    add("NEIGH_FAILED", 3 * each(20), { saddr: "198.51.100.10", daddr: "198.51.100.77" });
    // TCP and links at work.
    for (
      const [reason, count] of [
        ["TCP_OLD_DATA", 20],
        ["TCP_OFOMERGE", 8],
        ["TCP_OLD_ACK", 3],
        ["TCP_INVALID_SEQUENCE", 3],
        ["TCP_RFC7323_PAWS", 2],
        ["TCP_RESET", 2],
        ["TCP_CLOSE", 4],
        ["TCP_ABORT_ON_DATA", 2],
        ["TCP_ZEROWINDOW", each(10)],
        ["TCP_OVERWINDOW", each(30)],
        ["TCP_CSUM", each(120)],
        ["NOT_SPECIFIED", 5],
      ] as const
    ) {
      add(reason, count, {
        ...eth,
        l4: "TCP",
        saddr: stranger(),
        dport: "443",
        owner: "nginx",
        ownerPort: "443",
        unit: "nginx.service",
        retransmitted: "no",
      });
    }
    add("NOT_SPECIFIED", each(5), { ...eth, l4: "TCP", dport: "443", retransmitted: "yes" });
    add("OTHERHOST", 30, { dev: "eth0", daddr: "198.51.100.20" });
    add("UNHANDLED_PROTO", 2, { dev: "eth0" });
    add("SOCKET_CLOSE", 10, { owner: "dbus-daemon" });
    add("QUEUE_PURGE", 5, {});
    add("NEIGH_DEAD", each(60), {});
    // Filters that refuse on purpose.
    add("SOCKET_FILTER", 5, { dev: "eth0", owner: "dhclient", ownerPort: "68", l4: "UDP" });
    add("BPF_CGROUP_EGRESS", each(20), { unit: "updater.service" });
    // A deploy, twice: nobody listens for ten seconds.
    if (second % 1800 >= 600 && second % 1800 < 610) {
      add("NO_SOCKET", 60, { ...tcp, saddr: "10.0.0.2", dport: "8080" });
    }
    // Bursts: metrics that nobody reads for a moment, an upload, a queue of connections.
    if (second % 600 === 300) {
      for (const owner of ["statsd", "named"]) {
        add("SOCKET_RCVBUFF", 3000, {
          l4: "UDP",
          owner,
          ownerPort: "8125",
          container: "4f1d2c3b4a59",
        });
      }
      add("TCP_LISTEN_OVERFLOW", 4, { l4: "TCP", owner: "nginx", dport: "443" });
      add("FULL_RING", 500, { dev: "tap7" });
      add("SOCKET_BACKLOG", 200, { l4: "TCP", owner: "rsync", ownerPort: "873" });
    }
    if (second % 600 >= 300 && second % 600 < 310) {
      add("QDISC_DROP", 400, { dev: "eth0", l4: "TCP", retransmitted: "yes" });
    }
  }
  return drops;
}

/** The reasons of Linux 6.1. */
const reasonsOf61 = `NOT_SPECIFIED NO_SOCKET PKT_TOO_SMALL TCP_CSUM SOCKET_FILTER UDP_CSUM
  NETFILTER_DROP OTHERHOST IP_CSUM IP_INHDR IP_RPFILTER UNICAST_IN_L2_MULTICAST XFRM_POLICY
  IP_NOPROTO SOCKET_RCVBUFF PROTO_MEM TCP_MD5NOTFOUND TCP_MD5UNEXPECTED TCP_MD5FAILURE
  SOCKET_BACKLOG TCP_FLAGS TCP_ZEROWINDOW TCP_OLD_DATA TCP_OVERWINDOW TCP_OFOMERGE TCP_RFC7323_PAWS
  TCP_INVALID_SEQUENCE TCP_RESET TCP_INVALID_SYN TCP_CLOSE TCP_FASTOPEN TCP_OLD_ACK TCP_TOO_OLD_ACK
  TCP_ACK_UNSENT_DATA TCP_OFO_QUEUE_PRUNE TCP_OFO_DROP IP_OUTNOROUTES BPF_CGROUP_EGRESS IPV6DISABLED
  NEIGH_CREATEFAIL NEIGH_FAILED NEIGH_QUEUEFULL NEIGH_DEAD TC_EGRESS QDISC_DROP CPU_BACKLOG XDP
  TC_INGRESS UNHANDLED_PROTO SKB_CSUM SKB_GSO_SEG SKB_UCOPY_FAULT DEV_HDR DEV_READY FULL_RING NOMEM
  HDR_TRUNC TAP_FILTER TAP_TXFILTER ICMP_CSUM INVALID_PROTO IP_INADDRERRORS IP_INNOROUTES
  PKT_TOO_BIG`.split(/\s+/);

describe("the shipped rules", () => {
  test("stay quiet whatever is torn down, or drops as protocols do", async () => {
    const quiet = ofClass("teardown", "normal");
    expect(quiet.length).toBeGreaterThan(40);
    expect(await fired(steady(quiet, 1000))).toEqual([]);
  });

  test("fire on as many drops of what is a fault, or refused", async () => {
    const loud = await fired(steady(ofClass("fault", "policy"), 1000));
    expect(loud.length).toBeGreaterThan(20);
    expect(loud).toContain("SyncthingSocketFilterDrops warning");
  });

  test("wake nobody in an hour of a server that is well", async () => {
    // The scan that is in it is what this rule is for.
    expect(await fired(normalHour())).toEqual(["PortScan info"]);
  }, 60_000);

  test("load on Linux 6.1, but for those that say they need a newer one", async () => {
    const rules = await loaded(await capture([], reasonsOf61));
    await rules.host.close();
    const files = rules.errors.map(({ place }) => relative(shipped, place!.file));
    expect(files).toEqual(["tcp/listen_overflow.ts"]);
    for (const file of files) {
      expect(await readFile(`${shipped}${file}`, "utf8")).toMatch(/^\/\/ .*Linux 6\.\d+/m);
    }
  });

  test("are in folders by concern", async () => {
    const entries = await readdir(shipped, { withFileTypes: true });
    expect(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name).sort()).toEqual([
      "checksums",
      "containers",
      "firewall",
      "meta",
      "neighbours",
      "queues",
      "routing",
      "sockets",
      "tcp",
    ]);
    expect(entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name)).toEqual([]);
  });

  test("say what they find, why it matters and what misleads, and have tests beside them", async () => {
    const files = await findRuleFiles([shipped]);
    expect(files.length).toBeGreaterThan(23);
    for (const file of files) {
      const text = await readFile(file, "utf8");
      const header = text.slice(0, text.indexOf("\nimport "));
      const words = header.match(/^\/\/ (Finds|Matters|Misleads): /gm);
      expect([file, words]).toEqual([file, ["// Finds: ", "// Matters: ", "// Misleads: "]]);
      const beside = await readdir(dirname(file));
      expect(beside).toContain(basename(file).replace(/\.ts$/, ".test.ts"));
    }
  });

  test("tell people in words of their own what it is and what to do", async () => {
    const rules = await loaded(await capture([]));
    await rules.host.close();
    for (const { alert, texts } of rules.rules) {
      expect([alert, texts.summary]).not.toEqual([alert, undefined]);
      expect([alert, texts.description]).not.toEqual([alert, undefined]);
    }
  });

  test("are the ones that README.md lists", async () => {
    const rules = await loaded(await capture([]));
    await rules.host.close();
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const listed = [...readme.matchAll(/^\| `([A-Z]\w+)` +\| `rules\/(\w+)\/` +\|/gm)]
      .map(([, alert, where]) => `${where}/${alert}`);
    const there = rules.rules.map(({ alert, file }) => `${basename(dirname(file))}/${alert}`);
    expect(listed.sort()).toEqual(there.sort());
  });
});
