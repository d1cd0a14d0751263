// A kernel that isn't there: its names, for tests of what needs names and no kernel.
import { readMembers } from "../core/drop/fragment.ts";
import type { KernelFacts } from "../core/drop/fragment.ts";
import { reasonWorld } from "../core/drop/reason.ts";
import type { Plan } from "../core/plan/plan.ts";
import { makePlan } from "../core/plan/plan.ts";
import { readPredicate } from "../core/plan/predicate.ts";
import type { Predicate, ReasonWorld } from "../core/plan/predicate.ts";
import type { Cgroup, FieldName, Owner } from "../core/drop/field.ts";
import type { SourceFacts } from "../core/watch/source.ts";

/** Its reasons, by number: of all classes, and of a subsystem. */
export const reasons: ReadonlyMap<number, string> = new Map([
  [2, "NOT_SPECIFIED"],
  [3, "NO_SOCKET"],
  [4, "SOCKET_CLOSE"],
  [5, "SOCKET_FILTER"],
  [6, "SOCKET_RCVBUFF"],
  [10, "TCP_CSUM"],
  [12, "NETFILTER_DROP"],
  [13, "OTHERHOST"],
  [0x1_0002, "mac80211_unusable/RX_DROP_U_REPLAY"],
]);

export const subsystems: ReadonlyMap<number, string> = new Map([
  [0, "core"],
  [1, "mac80211_unusable"],
  [2, "openvswitch"],
]);

/** Where its functions lie. */
export const sites: ReadonlyMap<bigint, string> = new Map([
  [-1000n, "udp_queue_rcv_one_skb"],
  [-2000n, "tcp_v4_rcv"],
  [-3000n, "ip_rcv_core"],
  [-4000n, "__udp4_lib_rcv"],
]);

/** Whose its sockets are, by their inodes. */
export const owners: ReadonlyMap<number, Owner> = new Map([
  [1, { name: "syncthing", pid: "100", uid: "0" }],
  [5000, { name: "nginx", pid: "200", uid: "33" }],
]);

/** What its cgroups are, by their inodes. */
export const cgroups: ReadonlyMap<number, Cgroup> = new Map([
  [1, { unit: "ssh.service", container: "" }],
  [77, { unit: "docker-0123.scope", container: "0123" }],
]);

export const world: ReasonWorld = reasonWorld(
  reasons,
  subsystems,
  {
    site: (address) => sites.get(address) ?? "",
    owner: (inode) => owners.get(inode) ?? { name: "", pid: "", uid: "" },
    cgroup: (id) => cgroups.get(id) ?? { unit: "", container: "" },
  },
);

/** A `where` that is right, as a predicate; throws where it has mistakes. */
export function where(...asked: readonly Readonly<Record<string, unknown>>[]): Predicate {
  const { predicate, mistakes } = readPredicate(asked, world);
  if (mistakes.length > 0) throw new Error(JSON.stringify(mistakes));
  return predicate;
}

/** The plan of counts that are written as in a rule. */
export function planOf(
  ...counts: readonly {
    readonly where?: Readonly<Record<string, unknown>>;
    readonly by?: readonly FieldName[];
    readonly sum?: "len";
  }[]
): Plan {
  return makePlan(
    counts.map((count) => ({
      predicate: where(count.where ?? {}),
      by: count.by ?? [],
      sum: count.sum,
    })),
  );
}

/** What it offers a probe: all there is to read, each member in a place of its own. */
export const kernel: KernelFacts = {
  release: "6.18.0",
  args: new Set(["skbaddr", "location", "rx_sk", "protocol", "reason"]),
  retransmitArgs: new Set(["skbaddr", "skaddr", "err"]),
  btf: true,
  members: new Map(readMembers.map((name, i) => [name, { offset: 16 * i, size: 8 }])),
};

/** An older kernel: no socket in the tracepoint, no inode in the socket. */
export const olderKernel: KernelFacts = {
  release: "6.1.0",
  args: new Set(["skbaddr", "location", "protocol", "reason"]),
  retransmitArgs: new Set(["skbaddr", "skaddr"]),
  btf: true,
  members: new Map([...kernel.members].filter(([name]) => name !== "sock.sk_ino")),
};

/** What a source of this kernel would say. */
export const facts: SourceFacts = {
  world,
  title: "a kernel that isn't there",
  unavailable: () => undefined,
};
