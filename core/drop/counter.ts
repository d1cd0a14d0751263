// The kernel counts some drops by itself, in /proc/net. Where it does, an alert sets its number beside
// ours: two that agree prove each other, and two that don't are worth a look.
//
// Which counter goes with which reason is from the kernel's source, where the line that counts stands
// beside the line that sets the reason; test/kernel/counter.test.ts holds it against real drops.

/** Growth of counters of one network namespace, by the names that nstat prints: `UdpNoPorts`. */
export type CounterGrowth = ReadonlyMap<string, number>;

/** The kernel's counters at a moment. */
export interface CounterReading {
  /** How much later than the tick it was read, in milliseconds. */
  readonly delay: number;
  /** By network namespace: how much each has grown since the first reading. */
  readonly grown: ReadonlyMap<string, CounterGrowth>;
}

/** What the kernel's counters say of drops of some reasons: the sum of `plus` less that of `minus`. */
export interface CounterCheck {
  readonly plus: readonly string[];
  readonly minus?: readonly string[];
  /** Drops of the reason that no counter has: ours may be more. */
  readonly misses?: string;
  /** What the counters count besides: theirs may be more. */
  readonly besides?: string;
}

const both = (
  name: string,
): string[] => [`Udp${name}`, `Udp6${name}`, `UdpLite${name}`, `UdpLite6${name}`];

/** The dropped packets of the CPUs' input queues: the second column of softnet_stat, all namespaces together. */
export const softnetDropped = "SoftnetDropped";

/** By the reason's name. */
export const counterChecks: Readonly<Record<string, CounterCheck>> = {
  NO_SOCKET: {
    plus: both("NoPorts"),
    misses: "the kernel counts closed UDP ports only, not TCP's",
  },
  SOCKET_FILTER: {
    plus: both("InErrors"),
    minus: [...both("RcvbufErrors"), ...both("MemErrors"), ...both("InCsumErrors")],
    misses: "the kernel counts UDP only",
    besides: "UDP packets that were too short or refused by IPsec are in it",
  },
  SOCKET_RCVBUFF: { plus: both("RcvbufErrors"), misses: "the kernel counts UDP only" },
  PROTO_MEM: {
    plus: [...both("MemErrors"), "TcpExtTCPRcvQDrop", "TcpExtTCPOFODrop"],
    misses: "the kernel counts TCP and UDP only",
  },
  UDP_CSUM: {
    plus: both("InCsumErrors"),
    besides: "before Linux 6.12 packets that prove wrong when they are read are in it",
  },
  TCP_CSUM: { plus: ["TcpInCsumErrors"] },
  ICMP_CSUM: { plus: ["IcmpInCsumErrors", "Icmp6InCsumErrors"] },
  IP_CSUM: { plus: ["IpExtInCsumErrors"] },
  IP_INHDR: {
    plus: ["IpInHdrErrors", "Ip6InHdrErrors"],
    minus: ["IpExtInCsumErrors"],
    besides: "wrong extension headers of IPv6 are in it",
  },
  IP_RPFILTER: { plus: ["TcpExtIPReversePathFilter"] },
  IP_INADDRERRORS: { plus: ["IpInAddrErrors", "Ip6InAddrErrors"] },
  IP_INNOROUTES: { plus: ["IpExtInNoRoutes", "Ip6InNoRoutes"] },
  IP_OUTNOROUTES: {
    plus: ["IpOutNoRoutes", "Ip6OutNoRoutes"],
    besides: "what failed before there was a packet is in it",
  },
  IP_NOPROTO: { plus: ["IpInUnknownProtos", "Ip6InUnknownProtos"] },
  PKT_TOO_SMALL: {
    plus: ["IpExtInTruncatedPkts", "Ip6InTruncatedPkts"],
    misses: "the kernel counts what is shorter than its IP header says",
  },
  TCP_LISTEN_OVERFLOW: {
    plus: ["TcpExtListenOverflows"],
    besides: "SYNs that were refused for it are in it; the kernel reports no drop of those",
  },
  SOCKET_BACKLOG: { plus: ["TcpExtTCPBacklogDrop"], misses: "the kernel counts TCP only" },
  TCP_ZEROWINDOW: { plus: ["TcpExtTCPZeroWindowDrop"] },
  TCP_MINTTL: { plus: ["TcpExtTCPMinTTLDrop"] },
  TCP_RFC7323_PAWS: {
    plus: ["TcpExtPAWSEstab"],
    besides: "packets of connections that were being made are in it",
  },
  TCP_MD5NOTFOUND: { plus: ["TcpExtTCPMD5NotFound"] },
  TCP_MD5UNEXPECTED: { plus: ["TcpExtTCPMD5Unexpected"] },
  TCP_MD5FAILURE: { plus: ["TcpExtTCPMD5Failure"] },
  PFMEMALLOC: { plus: ["TcpExtPFMemallocDrop"] },
  CPU_BACKLOG: { plus: [softnetDropped] },
};

/** All counters that are compared. */
export const counterNames: ReadonlySet<string> = new Set(
  Object.values(counterChecks).flatMap(({ plus, minus = [] }) => [...plus, ...minus]),
);
