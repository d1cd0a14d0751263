// What reason numbers mean on one kernel. They differ between kernels, so nothing here is built in:
// the names come from the running kernel, or from the head of a capture.
import { knowledge } from "./knowledge.ts";
import type { DropClass, ReasonKnowledge } from "./knowledge.ts";
import type { Cgroup, Listener, Names, Owner } from "./field.ts";
import type { ReasonWorld } from "../plan/predicate.ts";

/** The prefix that the kernel's enum carries and that nobody writes. */
const prefix = /^SKB_DROP_REASON_/;

/** A reason's name without the enum's prefix: SOCKET_FILTER. */
export function bareReason(name: string): string {
  return name.replace(prefix, "");
}

/** The table's entry for a reason; undefined where it has none. */
export function knowledgeOf(name: string): ReasonKnowledge | undefined {
  if (Object.hasOwn(knowledge, name)) return knowledge[name as keyof typeof knowledge];
  // `openvswitch/OVS_DROP_METER`: by its own name, or by its subsystem at least.
  const [subsystem = "", own] = name.split("/");
  return own === undefined ? undefined : knowledgeOf(own) ?? knowledgeOf(subsystem);
}

/** What kind of drop a reason is; unknown for one that the table has no entry for. */
export function classOfReason(name: string): DropClass {
  return knowledgeOf(name)?.class ?? "unknown";
}

/** What a machine knows beside the kernel's enums. */
export interface Lookups {
  readonly site?: (address: bigint) => string;
  /** All functions of the kernel, where they are known. */
  readonly functions?: () => ReadonlySet<string>;
  readonly owner?: (inode: number) => Owner;
  readonly cgroup?: (id: number) => Cgroup;
  readonly listener?: (l4: string, port: string, netns: string) => Listener | undefined;
}

const nobody: Owner = { name: "", pid: "", uid: "" };
const nowhere: Cgroup = { unit: "", container: "" };

/** The names of one kernel. `reasons` and `subsystems` are by number, without prefixes. */
export function reasonWorld(
  reasons: ReadonlyMap<number, string>,
  subsystems: ReadonlyMap<number, string>,
  lookups: Lookups = {},
): ReasonWorld {
  const subsystem = (id: number): string => subsystems.get(id >>> 16) ?? `subsystem${id >>> 16}`;
  const reason = (id: number): string => {
    const known = reasons.get(id);
    if (known !== undefined) return known;
    // All 32 bits are kept: a reason of a module that isn't understood must stay apart from others.
    return id >>> 16 === 0 ? `0x${id.toString(16)}` : `${subsystem(id)}/0x${id.toString(16)}`;
  };
  const names: Names = {
    reason,
    // The key holds `reason >> 16` already.
    subsystem: (id) => subsystems.get(id) ?? `subsystem${id}`,
    classOf: (id) => classOfReason(reason(id)),
    site: lookups.site ?? (() => ""),
    owner: lookups.owner ?? (() => nobody),
    cgroup: lookups.cgroup ?? (() => nowhere),
    listener: lookups.listener ?? (() => undefined),
  };
  return { reasons, subsystems, names, functions: lookups.functions };
}
