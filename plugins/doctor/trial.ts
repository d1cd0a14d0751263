// The drops that doctor causes, and what is known of each beforehand: by whom, where and how many.
import { causes, withFirewall, withFullQueue, withoutRoute, withoutWayBack } from "./cause.ts";
import type { Cause } from "./cause.ts";
import type { Namespaces } from "./namespaces.ts";
import { wronglySummed } from "./packet.ts";
import type { Peer } from "./peer.ts";

/** Where trials are made: two namespaces, and a process in each. */
export interface Stage {
  readonly namespaces: Namespaces;
  /** In `a`. */
  readonly sender: Peer;
  /** In `b`. */
  readonly receiver: Peer;
  /** Waits until the drops have been told: what is needed to tell them stays until then. */
  told(): Promise<void>;
}

/** What was sent in a trial. */
export interface Sent {
  readonly packets: number;
  /** How many of them were dropped, as it is known without dropwatch. */
  readonly drops: number;
  readonly saddr: string;
  readonly sports: readonly number[];
  readonly daddr: string;
  readonly dport: number;
}

export interface Trial {
  readonly cause: Cause;
  readonly family: 4 | 6;
  readonly l4: "UDP" | "TCP";
  /** Where to: no other trial sends to it. */
  readonly port: number;
  /** How many packets are sent: almost all of them are dropped. */
  readonly packets: number;
  /** The namespace, and the device, where it is dropped. */
  readonly where: "a" | "b";
  /** Whose the packet's socket is; undefined where it has none. */
  readonly owner: "sender" | "receiver" | undefined;
  /** A command that it needs, besides those that all need. */
  readonly tool: "nft" | "tc" | undefined;
  run(stage: Stage): Promise<Sent>;
}

const many = 1000;
const connections = 100;
/** More than 68 bytes of UDP are verified later, and elsewhere. */
const size = 16;
const rawPort = 40_000;
const firstPort = 5001;

interface Way {
  readonly family: 4 | 6;
  readonly saddr: string;
  readonly daddr: string;
  readonly dport: number;
}

type Run = (stage: Stage, way: Way) => Promise<Omit<Sent, keyof Way> & Partial<Way>>;

interface Kind {
  readonly reason: keyof typeof causes;
  readonly families?: readonly (4 | 6)[];
  readonly l4?: "TCP";
  readonly where?: "a";
  readonly owner?: Trial["owner"];
  readonly tool?: Trial["tool"];
  readonly packets?: number;
  readonly run: Run;
}

const send = async (
  { sender }: Stage,
  { daddr, dport }: Way,
  more: { from?: string; size?: number } = {},
): Promise<{ packets: number; drops: number; sports: readonly number[] }> => {
  const to = { address: daddr, port: dport };
  const { n, ports } = await sender.ask({ do: "send", to, size, count: many, ...more });
  return { packets: n, drops: n, sports: ports };
};

/** To a UDP socket of the receiver. */
const toReceiver = (how: "filter" | "buffer"): Run => async (stage, way) => {
  const { receiver } = stage;
  await receiver.ask({ do: "receive", how, at: { address: way.daddr, port: way.dport } });
  const sent = await send(stage, way);
  await stage.told();
  // What had room was not dropped.
  const { n } = await receiver.ask({ do: "drain" });
  return { ...sent, drops: sent.packets - n };
};

const badChecksum = (l4: "UDP" | "TCP"): Run => async ({ namespaces, sender, told }, way) => {
  const { a, b } = namespaces;
  const frame = wronglySummed({
    l4,
    from: { address: way.saddr, port: rawPort, mac: a.mac },
    to: { address: way.daddr, port: way.dport, mac: b.mac },
    size,
  });
  const bytes = Array.from(frame, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const { n } = await sender.ask({ do: "frame", device: a.device, bytes, count: many });
  await told();
  return { packets: n, drops: n, sports: [rawPort] };
};

const toFullQueue: Run = async (stage, way) => {
  const { receiver, sender } = stage;
  const to = { address: way.daddr, port: way.dport };
  await receiver.ask({ do: "listen", at: to });
  const { ports } = await sender.ask({ do: "connect", to, count: connections + 1 });
  await receiver.ask({ do: "narrow" });
  const { n } = await sender.ask({ do: "speak" });
  await stage.told();
  // One connection has room.
  return { packets: n, drops: n - 1, sports: ports };
};

const kinds: readonly Kind[] = [
  {
    reason: "NO_SOCKET",
    async run(stage, way) {
      const sent = await send(stage, way);
      await stage.told();
      return sent;
    },
  },
  { reason: "SOCKET_FILTER", owner: "receiver", run: toReceiver("filter") },
  { reason: "SOCKET_RCVBUFF", owner: "receiver", run: toReceiver("buffer") },
  {
    reason: "NETFILTER_DROP",
    tool: "nft",
    run: (stage, way) =>
      withFirewall(
        stage.namespaces,
        { protocol: "udp", first: way.dport, last: way.dport },
        async () => {
          const sent = await send(stage, way);
          await stage.told();
          return sent;
        },
      ),
  },
  {
    reason: "TCP_LISTEN_OVERFLOW",
    l4: "TCP",
    owner: "receiver",
    packets: connections,
    run: toFullQueue,
  },
  {
    reason: "QDISC_DROP",
    tool: "tc",
    where: "a",
    owner: "sender",
    async run(stage, way) {
      // Two pass, one of them later: they must not be dropped elsewhere.
      const at = { address: way.daddr, port: way.dport };
      await stage.receiver.ask({ do: "receive", how: "plain", at });
      return await withFullQueue(stage.namespaces, async () => {
        const sent = await send(stage, way, { size: 1000 });
        const drops = stage.namespaces.qdiscDrops(stage.namespaces.a);
        await stage.told();
        return { ...sent, drops };
      });
    },
  },
  {
    reason: "IP_RPFILTER",
    families: [4],
    run: (stage, way) =>
      withoutWayBack(stage.namespaces, async (from) => {
        const sent = await send(stage, way, { from });
        await stage.told();
        return { ...sent, saddr: from };
      }),
  },
  {
    reason: "IP_INNOROUTES",
    run: (stage, way) =>
      withoutRoute(stage.namespaces, way.family, async (daddr) => {
        const sent = await send(stage, { ...way, daddr });
        await stage.told();
        return { ...sent, daddr };
      }),
  },
  { reason: "UDP_CSUM", run: badChecksum("UDP") },
  { reason: "TCP_CSUM", l4: "TCP", run: badChecksum("TCP") },
];

/**
 * All trials, each with a port of its own. Those of one kind lie far apart: what the kernel has counted
 * for one is out of the window when the other comes.
 */
export const trials: readonly Trial[] = ([4, 6] as const).flatMap((family) =>
  kinds.filter(({ families = [4, 6] }) => families.includes(family))
    .map((kind) => ({ kind, family }))
).map(({ kind, family }, i) => trialOf(kind, family, firstPort + i));

function trialOf(kind: Kind, family: 4 | 6, port: number): Trial {
  return {
    cause: causes[kind.reason],
    family,
    l4: kind.l4 ?? "UDP",
    port,
    packets: kind.packets ?? many,
    where: kind.where ?? "b",
    owner: kind.owner,
    tool: kind.tool,
    async run(stage) {
      const { namespaces: { a, b }, sender, receiver } = stage;
      const [saddr, daddr] = family === 4 ? [a.v4, b.v4] : [a.v6, b.v6];
      const way = { family, saddr, daddr, dport: port };
      try {
        return { ...way, ...await kind.run(stage, way) };
      } finally {
        await Promise.all([sender.ask({ do: "close" }), receiver.ask({ do: "close" })]);
      }
    },
  };
}

/** How a trial's rule and alert are called. */
export function nameOf({ cause, family }: Trial): string {
  return `${cause.reason}_v${family}`;
}
