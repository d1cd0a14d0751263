/**
 * Two network namespaces joined by a veth pair, for drops that the host must not see in its own
 * interfaces, rules and routes.
 *
 * They have no name. A small process holds each, and ends when our end of its stdin is gone, however
 * we ended; with it the kernel takes away the namespace and all that is in it. So nothing is left
 * behind, and there is nothing to clean up.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { noTool, toolFailed } from "../../core/error.ts";
import { packageOf, runTool } from "./tool.ts";

/** One of the two namespaces, and its end of the veth pair. */
export interface Side {
  /** The namespace as a file, for `nsenter --net=FILE`. */
  readonly netns: string;
  /** The process that holds it. */
  readonly pid: number;
  /** The N of net:[N]: what the field `netns` of a drop is. */
  readonly inode: number;
  /** The device: "veth-a" or "veth-b". */
  readonly device: string;
  /** The device's MAC address. */
  readonly mac: string;
  /** The device's addresses. */
  readonly v4: string;
  readonly v6: string;
}

/** A namespace is enough for what isn't about a device. */
type Netns = Pick<Side, "netns">;

/**
 * Keeps IPv6 from sending by itself: no link-local addresses, duplicate detection or router
 * solicitations. It must announce its multicast groups, which the other side drops (NOT_SPECIFIED,
 * ip6_mc_input): it does so within milliseconds, so before a test begins.
 */
const quiet = {
  accept_dad: 0,
  accept_ra: 0,
  addr_gen_mode: 1,
  mldv1_unsolicited_report_interval: 1,
  mldv2_unsolicited_report_interval: 1,
};

/**
 * A pair of namespaces, `a` and `b`. By convention, `a` sends and `b` drops.
 *
 * Nothing leads out of them. Each knows the other's MAC address for good, and IPv6 is kept from
 * sending by itself, so that what a test doesn't send isn't there to be dropped.
 */
export class Namespaces {
  readonly a: Side;
  readonly b: Side;
  readonly #holders: readonly Holder[];

  private constructor(holders: readonly [Holder, Holder]) {
    this.#holders = holders;
    this.a = side(holders[0], "a", 1);
    this.b = side(holders[1], "b", 2);
  }

  /** @throws DropwatchError NO_TOOL, TOOL_FAILED; nothing is left behind then. */
  static async open(): Promise<Namespaces> {
    const opened = await Promise.allSettled([hold(), hold()]);
    const holders = opened.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
    const [a, b] = holders;
    try {
      for (const each of opened) if (each.status === "rejected") throw each.reason;
      const namespaces = new Namespaces([a!, b!]);
      namespaces.#join();
      return namespaces;
    } catch (thrown) {
      await Promise.all(holders.map((holder) => holder.end()));
      throw thrown;
    }
  }

  #join(): void {
    const { a, b } = this;
    const settings = Object.entries(quiet).map(([name, value]) =>
      `echo ${value} > /proc/sys/net/ipv6/conf/default/${name}`
    );
    for (const each of [a, b]) this.exec(each, ["sh", "-e"], settings.join("\n"));
    // From within one of them: the host's own namespace never has these devices.
    // deno-fmt-ignore
    this.ip(a, ["link", "add", a.device, "address", a.mac, "type", "veth",
      "peer", "name", b.device, "address", b.mac, "netns", String(b.pid)]);
    for (const [own, other] of [[a, b], [b, a]] as const) {
      const lines = [
        "link set lo up",
        `link set ${own.device} up`,
        `address add ${own.v4}/24 dev ${own.device}`,
        `address add ${own.v6}/64 dev ${own.device} nodad`,
        ...[other.v4, other.v6].map((address) =>
          ["neighbour replace", ...forGood(own, address, other.mac)].join(" ")
        ),
      ];
      this.exec(own, ["ip", "-batch", "-"], `${lines.join("\n")}\n`);
    }
  }

  /**
   * Runs a command in a namespace.
   *
   * @returns its standard output
   * @throws DropwatchError NO_TOOL, TOOL_FAILED.
   */
  exec({ netns }: Netns, argv: readonly string[], input?: string): string {
    return runTool([...inNetns(netns), ...argv], input);
  }

  /** `ip ARGUMENTS` in a namespace: routes, addresses, links. */
  ip(side: Netns, argv: readonly string[]): string {
    return this.exec(side, ["ip", ...argv]);
  }

  /** Adds or replaces a route: `route(b, ["throw", "10.203.0.200"])`. */
  route(side: Side, route: readonly string[]): void {
    this.ip(side, [familyOf(route), "route", "replace", ...route]);
  }

  /** Deletes a route that `route` made. */
  deleteRoute(side: Side, route: readonly string[]): void {
    this.ip(side, [familyOf(route), "route", "delete", ...route]);
  }

  /** Makes the MAC address of a neighbour known for good. */
  neighbour(side: Side, address: string, mac: string): void {
    this.ip(side, ["neighbour", "replace", ...forGood(side, address, mac)]);
  }

  /** Loads nft commands, as in a file for `nft -f`. */
  nft(side: Netns, script: string): void {
    this.exec(side, ["nft", "-f", "-"], script);
  }

  /**
   * Sets a file of /proc/sys/net or /sys/class/net, as this namespace sees it.
   *
   * @returns what it was before
   */
  write(side: Netns, file: string, value: string): string {
    const set = ["sh", "-ec", 'cat "$0"; echo "$1" > "$0"', file, value];
    // /sys shows the devices of the namespace in which it was mounted.
    const ownSys = [
      "unshare",
      "--mount",
      "sh",
      "-ec",
      'mount -t sysfs sysfs /sys; exec "$@"',
      "sh",
    ];
    return this.exec(side, file.startsWith("/sys/") ? [...ownSys, ...set] : set).trim();
  }

  /**
   * Puts a token bucket of 1600 bytes on the side's device, which fills with 1000 bytes a second:
   * what is sent out of it beyond the limit is dropped.
   *
   * @param limit bytes that may wait
   */
  tbf(side: Side, limit = 1600): void {
    // deno-fmt-ignore
    this.exec(side, ["tc", "qdisc", "replace", "dev", side.device, "root", "tbf",
      "rate", "8kbit", "burst", "1600", "limit", String(limit)]);
  }

  /** How many packets the side's queueing discipline says that it has dropped. */
  qdiscDrops(side: Side): number {
    const text = this.exec(side, ["tc", "-s", "qdisc", "show", "dev", side.device]);
    return Number(/\bdropped (\d+)/.exec(text)?.[1] ?? 0);
  }

  /** Takes the queueing discipline off the side's device. What waits in it is dropped (NOT_SPECIFIED). */
  deleteQdisc(side: Side): void {
    this.exec(side, ["tc", "qdisc", "delete", "dev", side.device, "root"]);
  }

  /**
   * Lets go of both namespaces: the kernel takes them away, as soon as no process is in them any more.
   * Harmless the second time.
   */
  async delete(): Promise<void> {
    await Promise.all(this.#holders.map((holder) => holder.end()));
  }
}

/**
 * Runs a function with a new pair of namespaces, and deletes them after it, also if it throws.
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
  const namespaces = await Namespaces.open();
  try {
    return await use(namespaces);
  } finally {
    await namespaces.delete();
  }
}

/** The words before a command that is to run in a namespace. */
export function inNetns(netns: string): string[] {
  return ["nsenter", `--net=${netns}`];
}

function familyOf(route: readonly string[]): string {
  return route.some((word) => word.includes(":")) ? "-6" : "-4";
}

function forGood({ device }: Side, address: string, mac: string): string[] {
  return [address, "lladdr", mac, "dev", device, "nud", "permanent"];
}

function side({ pid }: Holder, letter: string, host: number): Side {
  const netns = `/proc/${pid}/ns/net`;
  return {
    netns,
    pid,
    inode: statSync(netns).ino,
    device: `veth-${letter}`,
    mac: `02:64:77:00:00:0${host}`,
    v4: `10.203.0.${host}`,
    v6: `fd00:203::${host}`,
  };
}

/** A process in a new namespace that does nothing but be there. */
interface Holder {
  readonly pid: number;
  end(): Promise<void>;
}

async function hold(): Promise<Holder> {
  const command = ["unshare", "--net", "sh", "-c", "echo; exec cat >/dev/null"];
  const child: ChildProcess = spawn(command[0]!, command.slice(1), {
    stdio: ["pipe", "pipe", "pipe"],
    // A Ctrl-C in the terminal goes to the whole group: we decide when it ends.
    detached: true,
  });
  let complaints = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => complaints += text);
  child.stdin!.on("error", () => {});
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve());
    child.on("error", () => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    child.on("error", (thrown: Error & { code?: string }) => {
      reject(
        thrown.code === "ENOENT"
          ? noTool("unshare", packageOf("unshare"))
          : toolFailed("unshare", thrown.message),
      );
    });
    child.stdout!.once("data", () => resolve());
    void ended.then(() => reject(toolFailed(command.join(" "), complaints)));
  });
  return {
    pid: child.pid!,
    async end() {
      child.stdin!.end();
      await ended;
    },
  };
}
