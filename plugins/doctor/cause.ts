// What makes the kernel drop, and as what: the setting of a pair of namespaces, which is put back
// after whoever sends has sent. What is sent, and by whom, is the caller's.
import type { Namespaces } from "./namespaces.ts";

/** What the kernel calls a drop, and where it drops. */
export interface Cause {
  readonly reason: string;
  /** The functions that drop, by IP version: on the latest kernel first, then on earlier ones. */
  readonly sites: Readonly<Record<4 | 6, readonly string[]>>;
  /** Whether exactly what is sent is dropped. */
  readonly exact: boolean;
}

type CauseName =
  | "NO_SOCKET"
  | "SOCKET_FILTER"
  | "SOCKET_RCVBUFF"
  | "NETFILTER_DROP"
  | "TCP_LISTEN_OVERFLOW"
  | "QDISC_DROP"
  | "IP_RPFILTER"
  | "IP_INNOROUTES"
  | "UDP_CSUM"
  | "TCP_CSUM";

const udpReceive = { 4: ["__udp4_lib_rcv", "udp_rcv"], 6: ["__udp6_lib_rcv", "udpv6_rcv"] };
const udpQueue = { 4: ["udp_queue_rcv_one_skb"], 6: ["udpv6_queue_rcv_one_skb"] };
const tcpReceive = { 4: ["tcp_v4_rcv"], 6: ["tcp_v6_rcv"] };
const both = (...sites: readonly string[]): Cause["sites"] => ({ 4: sites, 6: sites });

const sitesOf: Readonly<Record<CauseName, Cause["sites"]>> = {
  NO_SOCKET: udpReceive,
  SOCKET_FILTER: udpQueue,
  SOCKET_RCVBUFF: udpQueue,
  // The chain that decided; before Linux 6.7 the hook that asked it.
  NETFILTER_DROP: both("nft_do_chain", "nf_hook_slow"),
  TCP_LISTEN_OVERFLOW: tcpReceive,
  QDISC_DROP: both("__dev_queue_xmit", "__dev_xmit_skb"),
  // IPv6 has no such check.
  IP_RPFILTER: { 4: ["ip_rcv_finish_core", "ip_rcv_finish"], 6: [] },
  IP_INNOROUTES: { 4: ["ip_error"], 6: ["ip6_pkt_discard", "ip6_pkt_drop"] },
  UDP_CSUM: udpReceive,
  TCP_CSUM: tcpReceive,
};

/** By the reason's name. */
export const causes: Readonly<Record<CauseName, Cause>> = Object.fromEntries(
  Object.entries(sitesOf).map(([reason, sites]) => [
    reason,
    { reason, sites, exact: reason !== "QDISC_DROP" },
  ]),
) as Record<CauseName, Cause>;

/** An address of neither side, but in the network of both. */
export const nobody: Readonly<Record<4 | 6, string>> = { 4: "10.203.0.200", 6: "fd00:203::200" };

/** NETFILTER_DROP: what `send` sends to ports of `b` is dropped by an nft rule there. */
export async function withFirewall<T>(
  namespaces: Namespaces,
  { protocol, first, last }: { protocol: "udp" | "tcp"; first: number; last: number },
  send: () => Promise<T>,
): Promise<T> {
  const { b } = namespaces;
  namespaces.nft(
    b,
    `table inet dw_drop {
      chain input {
        type filter hook input priority 0
        ${protocol} dport ${first}-${last} counter drop
      }
    }`,
  );
  try {
    return await send();
  } finally {
    namespaces.nft(b, "delete table inet dw_drop");
  }
}

/** QDISC_DROP: what `send` sends out of `a` passes a token bucket with room for one packet of 1000 bytes. */
export async function withFullQueue<T>(namespaces: Namespaces, send: () => Promise<T>): Promise<T> {
  namespaces.tbf(namespaces.a);
  try {
    return await send();
  } finally {
    namespaces.deleteQdisc(namespaces.a);
  }
}

/** IP_RPFILTER: `a` may send from an address to which `b` has no route. */
export async function withoutWayBack<T>(
  namespaces: Namespaces,
  send: (source: string) => Promise<T>,
): Promise<T> {
  const { a, b } = namespaces;
  const source = nobody[4];
  const filter = `/proc/sys/net/ipv4/conf/${b.device}/rp_filter`;
  const before = namespaces.write(b, filter, "1");
  namespaces.route(b, ["throw", source]);
  namespaces.ip(a, ["address", "add", `${source}/32`, "dev", "lo"]);
  try {
    return await send(source);
  } finally {
    namespaces.ip(a, ["address", "delete", `${source}/32`, "dev", "lo"]);
    namespaces.deleteRoute(b, ["throw", source]);
    namespaces.write(b, filter, before);
  }
}

/** IP_INNOROUTES: `a` may send to `b`, a router, what is for an address to which that has no route. */
export async function withoutRoute<T>(
  namespaces: Namespaces,
  family: 4 | 6,
  send: (to: string) => Promise<T>,
): Promise<T> {
  const { a, b } = namespaces;
  const to = nobody[family];
  const forwarding = `/proc/sys/net/ipv${family}/conf/all/forwarding`;
  const before = namespaces.write(b, forwarding, "1");
  namespaces.route(b, ["throw", to]);
  namespaces.neighbour(a, to, b.mac);
  try {
    return await send(to);
  } finally {
    namespaces.ip(a, ["neighbour", "delete", to, "dev", a.device]);
    namespaces.deleteRoute(b, ["throw", to]);
    namespaces.write(b, forwarding, before);
  }
}
