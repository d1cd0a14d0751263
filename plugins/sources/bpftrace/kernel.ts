// What the running kernel offers: the tracepoint's fields, the names of reasons and subsystems, the
// types. Reads files only; nothing is attached.
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { open, readdir, readFile } from "node:fs/promises";
import { release } from "node:os";
import { noReasonField, noTracepoint } from "../../../core/error.ts";
import { readMembers } from "../../../core/drop/fragment.ts";
import type { KernelFacts } from "../../../core/drop/fragment.ts";
import { bareReason } from "../../../core/drop/reason.ts";
import { symbolTable } from "../../../core/drop/site.ts";
import type { SymbolTable } from "../../../core/drop/site.ts";
import { enumValues, findMembers, parseBtf } from "./btf.ts";
import type { Btf } from "./btf.ts";

export interface Kernel extends KernelFacts {
  /** By number, without prefixes. */
  readonly reasons: ReadonlyMap<number, string>;
  readonly subsystems: ReadonlyMap<number, string>;
  /** Whether /proc/kallsyms shows zeros instead of addresses, as it does to all but root. */
  readonly hidesAddresses: boolean;
}

const kallsyms = "/proc/kallsyms";

const tracefs = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const btfFolder = "/sys/kernel/btf";

/** Enums of reasons that modules bring, by the module's name. */
const moduleEnums: Readonly<Record<string, readonly string[]>> = {
  mac80211: ["mac80211_drop_reason"],
  openvswitch: ["ovs_drop_reason"],
};

/**
 * Reads the kernel's side.
 *
 * @throws DropwatchError NO_TRACEPOINT, or NO_REASON_FIELD before Linux 5.17.
 */
export async function readKernel(): Promise<Kernel> {
  const [format, retransmitFormat, btf] = await Promise.all([
    readFormat("skb/kfree_skb"),
    readFormat("tcp/tcp_retransmit_skb"),
    readBtf("vmlinux"),
  ]);
  const reasons = new Map<number, string>();
  const subsystems = new Map<number, string>();
  let args = new Set(["skbaddr", "location", "protocol", "reason"]);
  if (format !== undefined) {
    args = argsOf(format);
    for (const [id, name] of symbols(format)) reasons.set(id, name);
  }
  if (btf !== undefined) {
    for (const [name, id] of enumValues(btf, "skb_drop_reason")) addReason(reasons, id, name);
    for (const [name, id] of enumValues(btf, "skb_drop_reason_subsys")) {
      const bare = name.replace(/^SKB_DROP_REASON_SUBSYS_/, "").toLowerCase();
      if (bare !== "num") subsystems.set(id, bare);
    }
    const rxSock = "trace_event_raw_kfree_skb.rx_sk";
    if (format === undefined && findMembers(btf, [rxSock]).has(rxSock)) args.add("rx_sk");
    await addModules(btf, reasons, subsystems);
  }
  if (format === undefined && btf === undefined) throw noTracepoint(release());
  if (!args.has("reason") || reasons.size === 0) throw noReasonField(release());
  if (subsystems.size === 0) subsystems.set(0, "core");
  return {
    release: release(),
    args,
    retransmitArgs: argsOf(retransmitFormat),
    btf: btf !== undefined,
    members: btf === undefined ? new Map() : findMembers(btf, readMembers),
    reasons,
    subsystems,
    hidesAddresses: await hidesAddresses(),
  };
}

/** The kernel's functions. Synchronous: it is read at most once, and only where it is needed. */
export function readSymbols(): SymbolTable {
  return symbolTable(readFileSync(kallsyms, "utf8"));
}

/** The first lines tell: the address of a function is never zero. */
async function hidesAddresses(): Promise<boolean> {
  try {
    const file = await open(kallsyms);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
      return !/^0*[1-9a-f][0-9a-f]* [tT] /m.test(buffer.toString("latin1", 0, bytesRead));
    } finally {
      await file.close();
    }
  } catch {
    return true; // A kernel without CONFIG_KALLSYMS, or a container that hides the file.
  }
}

/** The names of a tracepoint's fields, from its format file. */
function argsOf(format: string | undefined): Set<string> {
  const fields = [...(format ?? "").matchAll(/field:[^;]*?(\w+)(?:\[\d+\])?;/g)];
  return new Set(fields.map((match) => match[1]!));
}

/** A tracepoint's format file; undefined where there is none, or only root may read it. */
async function readFormat(tracepoint: string): Promise<string | undefined> {
  for (const folder of tracefs) {
    try {
      return await readFile(`${folder}/events/${tracepoint}/format`, "utf8");
    } catch {
      // Not mounted here, or not for us: the next place, then BTF.
    }
  }
  return undefined;
}

/** `{ 5, "SOCKET_FILTER" }` pairs of a format file's `__print_symbolic`. */
function symbols(format: string): [number, string][] {
  const pairs = [...format.matchAll(/\{\s*(0x[0-9a-f]+|\d+),\s*"(\w+)"\s*\}/g)];
  return pairs.filter(([, , name]) => name !== "MAX")
    .map(([, id, name]) => [Number(id), bareReason(name!)]);
}

function addReason(reasons: Map<number, string>, id: number, name: string): void {
  if (/_MAX$|SUBSYS_MASK$|NOT_DROPPED_YET$|SKB_CONSUMED$/.test(name) || reasons.has(id)) return;
  reasons.set(id, bareReason(name));
}

async function readBtf(name: string, base?: Btf): Promise<Btf | undefined> {
  try {
    return parseBtf(await readFile(`${btfFolder}/${name}`), base);
  } catch {
    // There is none, or it is of a kind that isn't known here: the fields that need it say so.
    return undefined;
  }
}

/** Reasons of loaded modules: `mac80211_unusable/RX_DROP_U_MIC_FAIL`. */
async function addModules(
  vmlinux: Btf,
  reasons: Map<number, string>,
  subsystems: ReadonlyMap<number, string>,
): Promise<void> {
  const loaded = new Set(await readdir(btfFolder));
  for (const [module, enums] of Object.entries(moduleEnums)) {
    const btf = loaded.has(module) ? await readBtf(module, vmlinux) : vmlinux;
    if (btf === undefined) continue;
    for (const [name, id] of enums.flatMap((each) => [...enumValues(btf, each)])) {
      const subsystem = subsystems.get(id >>> 16);
      if (id >>> 16 !== 0 && subsystem !== undefined) reasons.set(id, `${subsystem}/${name}`);
    }
  }
}
