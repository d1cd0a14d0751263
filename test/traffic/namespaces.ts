/**
 * Two network namespaces joined by a veth pair, for drops that the host must not see in its own
 * interfaces, rules and routes.
 *
 * Needs root, `ip` and `tc` (iproute2) and `nft` (nftables).
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import process from "node:process";

/** One of the two namespaces, and its end of the veth pair. */
export interface Side {
  /** The namespace's name in `ip netns`. */
  netns: string;
  /** The device: "veth-a" or "veth-b". */
  device: string;
  /** The device's MAC address. */
  mac: string;
  /** The device's addresses. */
  v4: string;
  v6: string;
}

/** `traffic.c` sends beyond loopback only in namespaces whose name starts so. */
const PREFIX = "dw-";

/**
 * Keeps IPv6 from sending by itself: no link-local addresses, duplicate detection or router
 * solicitations. It must announce its multicast groups, which the other side drops (NOT_SPECIFIED,
 * ip6_mc_input): it does so within milliseconds, so before a test begins.
 */
const QUIET = {
  "conf/default/accept_dad": "0",
  "conf/default/accept_ra": "0",
  "conf/default/addr_gen_mode": "1",
  "conf/default/mldv1_unsolicited_report_interval": "1",
  "conf/default/mldv2_unsolicited_report_interval": "1",
};
const alive = new Set<Namespaces>();
let serial = 0;

/**
 * A pair of namespaces, `a` and `b`. By convention, `a` sends and `b` drops.
 *
 * Nothing leads out of them. Each knows the other's MAC address for good, and IPv6 is kept from
 * sending by itself, so that what a test doesn't send isn't there to be dropped.
 */
export class Namespaces {
  readonly a: Side;
  readonly b: Side;

  /** @throws Error if a command fails; nothing is left behind then */
  constructor() {
    deleteLeftovers();
    const name = `${PREFIX}${process.pid}-${++serial}`;
    this.a = side(`${name}a`, "a", 1);
    this.b = side(`${name}b`, "b", 2);
    alive.add(this);
    watchForTheEnd();
    try {
      this.#create();
    } catch (error) {
      this.delete();
      throw error;
    }
  }

  #create(): void {
    const { a, b } = this;
    for (const { netns } of [a, b]) {
      run(["ip", "netns", "add", netns]);
      for (const [setting, value] of Object.entries(QUIET)) {
        this.write({ netns }, `/proc/sys/net/ipv6/${setting}`, value);
      }
    }
    // deno-fmt-ignore
    run(["ip", "link", "add", a.device, "address", a.mac, "netns", a.netns, "type", "veth",
      "peer", "name", b.device, "address", b.mac, "netns", b.netns]);
    for (const [own, other] of [[a, b], [b, a]] as const) {
      this.ip(own, ["link", "set", "lo", "up"]);
      this.ip(own, ["link", "set", own.device, "up"]);
      this.ip(own, ["address", "add", `${own.v4}/24`, "dev", own.device]);
      this.ip(own, ["address", "add", `${own.v6}/64`, "dev", own.device, "nodad"]);
      for (const address of [other.v4, other.v6]) this.neighbour(own, address, other.mac);
    }
  }

  /**
   * Runs a command in a namespace.
   *
   * @returns its standard output
   * @throws Error with its standard error, if it fails
   */
  exec(side: Pick<Side, "netns">, argv: readonly string[], input?: string): string {
    return run(["ip", "netns", "exec", side.netns, ...argv], input);
  }

  /** `ip ARGUMENTS` in a namespace: routes, addresses, links. */
  ip(side: Pick<Side, "netns">, argv: readonly string[]): string {
    return run(["ip", "-n", side.netns, ...argv]);
  }

  /** Adds or replaces a route: `route(b, ["throw", "10.203.0.200"])`. */
  route(side: Side, route: readonly string[]): void {
    const family = route.some((word) => word.includes(":")) ? "-6" : "-4";
    this.ip(side, [family, "route", "replace", ...route]);
  }

  /** Deletes a route that `route` made. */
  deleteRoute(side: Side, route: readonly string[]): void {
    const family = route.some((word) => word.includes(":")) ? "-6" : "-4";
    this.ip(side, [family, "route", "delete", ...route]);
  }

  /** Makes the MAC address of a neighbour known for good. */
  neighbour(side: Side, address: string, mac: string): void {
    // deno-fmt-ignore
    this.ip(side, ["neighbour", "replace", address, "lladdr", mac, "dev", side.device, "nud", "permanent"]);
  }

  /** Loads nft commands, as in a file for `nft -f`. */
  nft(side: Side, script: string): void {
    this.exec(side, ["nft", "-f", "-"], script);
  }

  /**
   * Sets a file of /proc/sys/net or /sys/class/net, as this namespace sees it.
   *
   * @returns what it was before
   */
  write(side: Pick<Side, "netns">, file: string, value: string): string {
    const before = this.exec(side, ["cat", file]).trim();
    this.exec(side, ["tee", file], `${value}\n`);
    return before;
  }

  /**
   * Puts a token bucket of 1600 bytes on the side's device, which fills with 1000 bytes a second:
   * what is sent out of it beyond the limit is dropped.
   *
   * @param limit bytes that may wait
   */
  tbf(side: Side, limit = 1600): void {
    // deno-fmt-ignore
    run(["tc", "-n", side.netns, "qdisc", "replace", "dev", side.device, "root", "tbf",
      "rate", "8kbit", "burst", "1600", "limit", String(limit)]);
  }

  /** Takes the queueing discipline off the side's device. What waits in it is dropped (NOT_SPECIFIED). */
  deleteQdisc(side: Side): void {
    run(["tc", "-n", side.netns, "qdisc", "delete", "dev", side.device, "root"]);
  }

  /** Deletes both namespaces, and with them all that is in them. Harmless the second time. */
  delete(): void {
    for (const { netns } of [this.a, this.b]) deleteNamespace(netns);
    alive.delete(this);
  }
}

/**
 * Runs a function with a new pair of namespaces, and deletes them after it: also if it throws, and
 * if SIGINT, SIGTERM, SIGHUP or `process.exit` ends the process.
 *
 * @example
 * ```ts
 * await withNamespaces(async (namespaces) => {
 *   const { sent, reason } = await drops.netfilterDrop(namespaces, { count: 100 });
 * });
 * ```
 */
export async function withNamespaces<T>(
  use: (namespaces: Namespaces) => Promise<T> | T,
): Promise<T> {
  const namespaces = new Namespaces();
  try {
    return await use(namespaces);
  } finally {
    namespaces.delete();
  }
}

function side(netns: string, letter: string, host: number): Side {
  return {
    netns,
    device: `veth-${letter}`,
    mac: `02:64:77:00:00:0${host}`,
    v4: `10.203.0.${host}`,
    v6: `fd00:203::${host}`,
  };
}

function run(argv: readonly string[], input = ""): string {
  const result = spawnSync(argv[0] as string, argv.slice(1), { encoding: "utf8", input });
  if (result.error) {
    throw new Error(
      `Cannot run ${
        argv[0]
      }: ${result.error.message}. Install it with: apt-get install --yes iproute2 nftables`,
    );
  }
  if (result.status !== 0) {
    throw new Error(
      `Cannot run ${argv.join(" ")}: ${result.stderr.trim() || `code ${result.status}`}`,
    );
  }
  return result.stdout;
}

function deleteNamespace(netns: string): void {
  if (existsSync(`/run/netns/${netns}`)) spawnSync("ip", ["netns", "delete", netns]);
}

/** Of processes that were killed with SIGKILL: their pid is in the name. */
function deleteLeftovers(): void {
  if (!existsSync("/run/netns")) return;
  for (const netns of readdirSync("/run/netns")) {
    const pid = /^dw-(\d+)-\d+[ab]$/.exec(netns)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) deleteNamespace(netns);
  }
}

let watching = false;

function watchForTheEnd(): void {
  if (watching) return;
  watching = true;
  const deleteAll = (): void => {
    for (const namespaces of [...alive]) namespaces.delete();
  };
  process.on("exit", deleteAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const onSignal = (): void => {
      deleteAll();
      if (process.listenerCount(signal) > 1) return; // somebody else decides how this ends
      process.off(signal, onSignal);
      process.kill(process.pid, signal); // as if nobody had listened
    };
    process.on(signal, onSignal);
  }
}
