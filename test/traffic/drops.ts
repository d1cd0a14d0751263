/**
 * One function a drop reason: each sets up a pair of namespaces so that the kernel drops for that
 * reason, sends, and puts everything back as it was.
 *
 * What was seen on a real kernel is in `README.md`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  causes,
  nobody,
  withFirewall,
  withFullQueue,
  withoutRoute,
  withoutWayBack,
} from "../../plugins/doctor/cause.ts";
import type { Cause } from "../../plugins/doctor/cause.ts";
import type { Namespaces, Side } from "../../plugins/doctor/namespaces.ts";
import type {
  Checksum,
  ShortVariant,
  TrafficKind,
  TrafficOptions,
  TrafficResult,
} from "./traffic.ts";
import { startTraffic } from "./traffic.ts";

/** What a function of this file caused. */
export interface Dropped extends TrafficResult {
  /** The reason's name, as the kernel of `README.md` has it. */
  reason: string;
  /** The kernel function that drops (`location` of the event), on that kernel. */
  site: string;
  /** True if exactly `sent` packets are dropped there for this reason. */
  exact: boolean;
}

/** How much is sent, and by whom; as in `TrafficOptions`. */
export type DropOptions = Pick<
  TrafficOptions,
  "count" | "rate" | "batch" | "cpu" | "family" | "port" | "ports" | "sockets" | "size" | "comm"
>;

const DISCARD = 9;

const UDP_RECEIVE = ["__udp4_lib_rcv", "__udp6_lib_rcv"] as const;
const TCP_RECEIVE = ["tcp_v4_rcv", "tcp_v6_rcv"] as const;
const IP_RECEIVE = ["ip_rcv_core", "ip6_rcv_core"] as const;

/** A cause that is exact. */
function exactly(reason: string, sites: readonly [string, string]): Cause {
  return { reason, sites: { 4: [sites[0]], 6: [sites[1]] }, exact: true };
}

/** A cause that drops only most of what is sent. */
function roughly(reason: string, site: string): Cause {
  return { reason, sites: { 4: [site], 6: [site] }, exact: false };
}

/** SOCKET_FILTER: datagrams to UDP sockets that refuse everything, on the loopback of `a`. */
export function socketFilter(
  namespaces: Namespaces,
  options: DropOptions = {},
): Promise<Dropped> {
  return send("socket-filter", causes.SOCKET_FILTER, namespaces.a, options);
}

/** SOCKET_RCVBUFF: datagrams to UDP sockets that nobody reads and that are full, on the loopback of `a`. */
export function socketRcvbuff(
  namespaces: Namespaces,
  options: DropOptions = {},
): Promise<Dropped> {
  return send("socket-rcvbuff", causes.SOCKET_RCVBUFF, namespaces.a, options);
}

/** NO_SOCKET: datagrams from `a` to closed ports of `b`, which answers with ICMP errors. */
export function noSocket(namespaces: Namespaces, options: DropOptions = {}): Promise<Dropped> {
  const { a, b } = namespaces;
  return send("no-socket", causes.NO_SOCKET, a, {
    address: address(b, options),
    ...options,
  });
}

/** TCP_LISTEN_OVERFLOW: connections to a full accept queue, on the loopback of `a`; at most 4000. */
export function tcpListenOverflow(
  namespaces: Namespaces,
  options: DropOptions = {},
): Promise<Dropped> {
  return send("tcp-listen-overflow", causes.TCP_LISTEN_OVERFLOW, namespaces.a, {
    count: 100,
    ...options,
  });
}

/** NETFILTER_DROP: datagrams, or the SYNs of connections, from `a` to a port that an nft rule of `b` drops. */
export function netfilterDrop(
  namespaces: Namespaces,
  { protocol = "udp", ...options }: DropOptions & { protocol?: "udp" | "tcp" } = {},
): Promise<Dropped> {
  const { a, b } = namespaces;
  const first = options.port ?? DISCARD;
  const last = first + (options.ports ?? 1) - 1;
  const to = { address: address(b, options), ...options, port: first };
  return withFirewall(
    namespaces,
    { protocol, first, last },
    () => send(protocol === "tcp" ? "tcp-connect" : "udp", causes.NETFILTER_DROP, a, to),
  );
}

/** QDISC_DROP: a blast from `a` out of a token bucket with room for one packet. Not exact: some pass. */
export function qdiscDrop(namespaces: Namespaces, options: DropOptions = {}): Promise<Dropped> {
  const { a, b } = namespaces;
  const to = { address: address(b, options), device: a.device, size: 1000, ...options };
  return withFullQueue(namespaces, () => send("qdisc", causes.QDISC_DROP, a, to));
}

/** IP_RPFILTER: datagrams from an address to which `b` has no route. IPv4 only: Linux has no such check in IPv6. */
export function rpFilter(
  namespaces: Namespaces,
  options: Omit<DropOptions, "family"> = {},
): Promise<Dropped> {
  const { a, b } = namespaces;
  return withoutWayBack(
    namespaces,
    (source) => send("udp", causes.IP_RPFILTER, a, { address: b.v4, source, ...options }),
  );
}

/** IP_INNOROUTES: datagrams for an address to which `b`, a router, has no route. */
export function noRoute(namespaces: Namespaces, options: DropOptions = {}): Promise<Dropped> {
  return withoutRoute(
    namespaces,
    options.family ?? 4,
    (to) => send("udp", causes.IP_INNOROUTES, namespaces.a, { address: to, ...options }),
  );
}

/**
 * NEIGH_FAILED, and NOT_SPECIFIED in IPv6: datagrams of `a` for an address that nobody answers for,
 * at most 1000 within 200 ms. They are dropped when the query has failed, after these 200 ms.
 */
export function neighFailed(
  namespaces: Namespaces,
  options: DropOptions = {},
): Promise<Dropped> {
  const reason = options.family === 6 ? "NOT_SPECIFIED" : "NEIGH_FAILED";
  const cause = exactly(reason, ["neigh_invalidate", "neigh_invalidate"]);
  return withoutNeighbour(namespaces, cause, 1 << 20, options);
}

/** NEIGH_QUEUEFULL: the same, with room for one packet in the queue. Not exact: the last ends as in `neighFailed`. */
export function neighQueueFull(
  namespaces: Namespaces,
  options: DropOptions = {},
): Promise<Dropped> {
  return withoutNeighbour(namespaces, roughly("NEIGH_QUEUEFULL", "__neigh_event_send"), 1, options);
}

async function withoutNeighbour(
  namespaces: Namespaces,
  cause: Cause,
  queueBytes: number,
  options: DropOptions,
): Promise<Dropped> {
  const { a } = namespaces;
  const family = options.family ?? 4;
  const settings = `/proc/sys/net/ipv${family}/neigh/${a.device}`;
  const before = new Map<string, string>();
  for (
    const [name, value] of [
      ["mcast_solicit", "1"],
      ["retrans_time_ms", "200"],
      ["unres_qlen_bytes", String(queueBytes)],
    ] as const
  ) before.set(name, namespaces.write(a, `${settings}/${name}`, value));
  const to = nobody[family];
  try {
    const dropped = await send("udp", cause, a, { address: to, count: 20, ...options });
    for (let tries = 0; tries < 50; tries++) {
      if (namespaces.ip(a, ["neighbour", "show", to]).includes("FAILED")) break;
      await sleep(20);
    }
    return dropped;
  } finally {
    try {
      namespaces.ip(a, ["neighbour", "delete", to, "dev", a.device]);
    } catch {
      // nothing was sent, or the kernel has forgotten it already
    }
    for (const [name, value] of before) namespaces.write(a, `${settings}/${name}`, value);
  }
}

/**
 * CPU_BACKLOG: datagrams from `a`, on CPU 0, which `b` takes in on CPU 1 (RPS), where a long nft
 * chain makes it slower than the sender. Not exact: what had room in the backlog is dropped by the
 * chain's end, as NETFILTER_DROP, so that both together are `sent`.
 *
 * @throws Error if the machine has no CPU 0 and 1
 */
export async function cpuBacklog(
  namespaces: Namespaces,
  options: Omit<DropOptions, "cpu" | "port" | "ports"> = {},
): Promise<Dropped> {
  const { a, b } = namespaces;
  const rps = `/sys/class/net/${b.device}/queues/rx-0/rps_cpus`;
  const before = namespaces.write(b, rps, "2"); // CPU 1
  const rules = Array.from({ length: 1000 }, (_, i) => `udp sport ${i + 1} counter`).join("\n");
  namespaces.nft(
    b,
    `table inet dw_slow {
      chain input {
        type filter hook input priority 0
        ${rules}
        udp dport ${DISCARD} drop
      }
    }`,
  );
  try {
    const to = { address: address(b, options), count: 20_000, port: DISCARD };
    const cause = roughly("CPU_BACKLOG", "enqueue_to_backlog");
    const dropped = await send("udp", cause, a, { ...to, ...options, cpu: 0 });
    await sleep(200); // at most 1000 packets still wait on CPU 1
    return dropped;
  } finally {
    namespaces.write(b, rps, before);
    namespaces.nft(b, "delete table inet dw_slow");
  }
}

const CHECKSUMS: Record<Checksum, Cause> = {
  udp: causes.UDP_CSUM,
  tcp: causes.TCP_CSUM,
  icmp: exactly("ICMP_CSUM", ["icmp_rcv", "icmpv6_rcv"]),
  ip: exactly("IP_CSUM", IP_RECEIVE),
};

/**
 * UDP_CSUM, TCP_CSUM, ICMP_CSUM or IP_CSUM: packets from `a` to `b` whose checksum is wrong.
 *
 * Exact up to 56 bytes of payload: that little is verified before the socket is looked up. More
 * than 68 bytes of UDP are verified when a socket filter is about to see them, at another site and
 * with the socket known, or else only when somebody reads them.
 */
export function checksum(
  namespaces: Namespaces,
  { protocol = "udp", ...options }: DropOptions & { protocol?: Checksum } = {},
): Promise<Dropped> {
  const { a, b } = namespaces;
  const to = { address: address(b, options), device: a.device, mac: b.mac, protocol };
  return send("checksum", CHECKSUMS[protocol], a, { ...to, ...options });
}

const SHORT: Record<ShortVariant, Cause> = {
  "ether-only": exactly("IP_INHDR", IP_RECEIVE),
  "ip-4-bytes": exactly("IP_INHDR", IP_RECEIVE),
  "tcp-6-bytes": exactly("NOT_SPECIFIED", TCP_RECEIVE),
  "udp-4-bytes": exactly("NOT_SPECIFIED", UDP_RECEIVE),
  "ip4-options": exactly("IP_INHDR", IP_RECEIVE),
  "ip4-length": exactly("PKT_TOO_SMALL", IP_RECEIVE),
  "ip6-hop-by-hop": exactly("NOT_SPECIFIED", ["", "ipv6_parse_hopopts"]),
  "ip6-destination": exactly("NOT_SPECIFIED", ["", "ipv6_destopt_rcv"]),
};

/**
 * IP_INHDR, PKT_TOO_SMALL or NOT_SPECIFIED: frames from `a` to `b` whose headers are cut short, for
 * those who decode what was dropped. An `ip4-…` or `ip6-…` variant decides the family.
 */
export function rawShort(
  namespaces: Namespaces,
  variant: ShortVariant,
  options: DropOptions = {},
): Promise<Dropped> {
  const { a, b } = namespaces;
  const family = variant.startsWith("ip6-") ? 6 : variant.startsWith("ip4-") ? 4 : options.family;
  const sending: TrafficOptions = { ...options, device: a.device, mac: b.mac, variant };
  if (family !== undefined) sending.family = family;
  return send("raw-short", SHORT[variant], a, { ...sending, address: address(b, sending) });
}

function address(side: Side, { family }: { family?: 4 | 6 }): string {
  return family === 6 ? side.v6 : side.v4;
}

async function send(
  kind: TrafficKind,
  { reason, sites, exact }: Cause,
  from: Side,
  options: TrafficOptions,
): Promise<Dropped> {
  const traffic = await startTraffic(kind, { ...options, netns: from.netns });
  try {
    traffic.go();
    const [site = ""] = sites[options.family ?? 4];
    return { ...await traffic.done, reason, site, exact };
  } finally {
    await traffic.stop();
  }
}
