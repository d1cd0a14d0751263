// Where in the kernel a packet was dropped, by name: addresses to functions and back.
import { joinRanges } from "../plan/predicate.ts";
import type { Range } from "../plan/predicate.ts";

/**
 * Functions that only carry out a drop: where the tracepoint's location, or a frame of the stack,
 * is one of these, the place that decided lies further up.
 */
export const plumbing: ReadonlySet<string> = new Set([
  "sk_skb_reason_drop",
  "kfree_skb_reason",
  "kfree_skb",
  "kfree_skb_list",
  "kfree_skb_list_reason",
  "__kfree_skb",
  "kfree_skb_partial",
  "skb_queue_purge",
  "skb_queue_purge_reason",
  "skb_rbtree_purge",
  "skb_release_data",
  "skb_release_head_state",
  "skb_attempt_defer_free",
  "dev_kfree_skb_any",
  "dev_kfree_skb_any_reason",
  "dev_kfree_skb_irq",
  "dev_kfree_skb_irq_reason",
  "napi_consume_skb",
  "tcp_drop",
  "tcp_drop_reason",
  "sock_queue_rcv_skb_reason",
  "__sk_destruct",
]);

/** `ip_rcv_finish_core.isra.0` → `ip_rcv_finish_core`: what the compiler made of a function. */
export function bareFunction(symbol: string): string {
  return symbol.replace(/(\.(isra|constprop|part|cold|llvm)(\.\d+)?)+$/, "");
}

/** The functions of a kernel, by address. */
export interface SymbolTable {
  /** The function at an address; "" where there is none. */
  nameAt(address: bigint): string;
  /** Where functions lie, as signed integers, for conditions in the kernel. */
  rangesOf(names: readonly string[]): Range[];
  /** How many functions there are; 0 where the kernel hides its addresses. */
  readonly size: number;
  /** Their names, as {@linkcode bareFunction} makes them. */
  names(): ReadonlySet<string>;
}

/** Reads the text of /proc/kallsyms. */
export function symbolTable(kallsyms: string): SymbolTable {
  const addresses: bigint[] = [];
  const names: string[] = [];
  for (const line of kallsyms.split("\n")) {
    const kind = line.charAt(17).toLowerCase();
    if (kind !== "t" && kind !== "w") continue;
    const end = line.indexOf("\t", 19);
    const name = line.slice(19, end === -1 ? undefined : end);
    const address = BigInt.asIntN(64, BigInt(`0x${line.slice(0, 16)}`));
    if (address === 0n) continue;
    addresses.push(address);
    names.push(name);
  }
  const order = addresses.map((_, i) => i)
    .sort((a, b) => (addresses[a]! < addresses[b]! ? -1 : addresses[a]! > addresses[b]! ? 1 : 0));
  const sorted = BigInt64Array.from(order, (i) => addresses[i]!);
  const last = sorted.length - 1;
  const indexOf = (address: bigint): number => {
    let [lo, hi] = [0, last];
    while (lo <= hi) {
      const middle = (lo + hi) >> 1;
      if (sorted[middle]! <= address) lo = middle + 1;
      else hi = middle - 1;
    }
    return hi;
  };
  let bareNames: ReadonlySet<string> | undefined;
  return {
    size: sorted.length,
    names: () => bareNames ??= new Set(names.map(bareFunction)),
    nameAt(address) {
      let at = indexOf(BigInt.asIntN(64, address));
      // Past the last function there is nothing whose end is known.
      if (at < 0 || at === last) return "";
      // Of several names at an address the kernel shows the first, and so do its stacks.
      while (at > 0 && sorted[at - 1] === sorted[at]) at--;
      return bareFunction(names[order[at]!]!);
    },
    rangesOf(wanted) {
      const ranges: Range[] = [];
      order.forEach((original, at) => {
        if (at === last || !wanted.includes(bareFunction(names[original]!))) return;
        // Several names can share an address: the function ends where the next address begins.
        let next = at + 1;
        while (next < last && sorted[next] === sorted[at]) next++;
        ranges.push([Number(sorted[at]!), Number(sorted[next]!) - 1]);
      });
      return joinRanges(ranges);
    },
  };
}
