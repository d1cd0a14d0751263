// The field catalogue: what can be known of a dropped packet. One entry a field; from it follow
// the type in a rule, the probe in the kernel, the decoder, the command line's help and the docs.
import type { FragmentName } from "./fragment.ts";
import type { ReasonName } from "./reason_name.ts";
import type { DropClass } from "./knowledge.ts";
import { addressText, bytesText } from "./bytes.ts";

/** What a field's label is made with: the names that only the running kernel knows. */
export interface Names {
  /** `SOCKET_FILTER` for 5; `mac80211_unusable/0x1000b` where the name isn't known. */
  reason(id: number): string;
  /** `core` for 0. */
  subsystem(id: number): string;
  /** fault, policy, teardown, normal or unknown. */
  classOf(id: number): string;
  /** The kernel function at an address, `udp_queue_rcv_one_skb`; "" where there is none. */
  site(address: bigint): string;
  /** The process that a socket belongs to, by the socket's inode. */
  owner(inode: number): Owner;
  /** What runs in a cgroup, by the inode of its directory. */
  cgroup(id: number): Cgroup;
  /** Who listened on a port of a network namespace within the last minutes: `("UDP", "53", "4026531840")`. */
  listener(l4: string, port: string, netns: string): Listener | undefined;
}

/** Who listened on a port. */
export interface Listener {
  readonly owner: string;
  readonly pid: string;
  /** When it was last seen to, in milliseconds since 1970. */
  readonly at: number;
}

/** Whose a socket is; empty where nobody knows. */
export interface Owner {
  readonly name: string;
  readonly pid: string;
  /** The effective user id. */
  readonly uid: string;
}

/** What a cgroup is; each is "" where it isn't that. */
export interface Cgroup {
  /** The systemd unit: `ssh.service`. */
  readonly unit: string;
  /** The container: the first twelve digits of its id, or its name. */
  readonly container: string;
}

/**
 * How a field is held in a key, and so how it can be tested:
 * - `reason`: worked out from the reason's number alone
 * - `number`: one integer, tested by ranges
 * - `bytes`: sixteen bytes (an address, a name), tested by masks
 * - `site`: the address of the code that dropped the packet
 * - `stack`: the kernel's stack; it can be a key, not a condition
 * - `lookup`: what the kernel's key stands for outside of it (an inode: a process). The kernel counts
 *   by the key, conditions are tested on what is found
 * - `later`: what happens after the drop. The kernel counts by what it takes to find out, and a drop
 *   is counted when it is known
 */
export type FieldKind = "reason" | "number" | "bytes" | "site" | "stack" | "lookup" | "later";

/** One entry of the catalogue. `Value` is what a rule compares it with. */
export interface Field<Value extends string | number> {
  /** What it is, in a line; the help and the docs print it. */
  readonly doc: string;
  readonly kind: FieldKind;
  /** The bpftrace expressions that make up its part of a key. */
  readonly slots: readonly string[];
  /** The fragments of the probe that set the variables in `slots`. */
  readonly uses: readonly FragmentName[];
  /** The label of a value; "" means that the packet doesn't tell. */
  readonly label: (slots: readonly bigint[], names: Names) => string;
  /** The integer that stands for "the packet doesn't tell"; it is outside the field's values. */
  readonly unknown?: number;
  /** The largest value of a number. */
  readonly max?: number;
  /** Names for some numbers: `{ UDP: 17 }`. */
  readonly named?: Readonly<Record<string, number>>;
  /** Text (a name) or an address (CIDR can be asked), where kind is `bytes`. */
  readonly bytes?: "text" | "address";
  /** A number that can be summed. */
  readonly sums?: boolean;
  /** The field by whose value it is looked up, where kind is `lookup`. */
  readonly lookedUpBy?: "ownerInode" | "cgroupId";
  /** All values that it can have, where kind is `later`. */
  readonly choices?: readonly string[];
  /** Never read: it only carries the type. */
  readonly value?: Value;
}

/** EtherTypes by the names that Linux's if_ether.h and Wireshark use. */
export const protocols: Readonly<Record<string, number>> = {
  IPv4: 0x0800,
  ARP: 0x0806,
  "802.1Q": 0x8100,
  IPv6: 0x86dd,
  MPLS: 0x8847,
  "PPPoE-discovery": 0x8863,
  PPPoE: 0x8864,
  EAPOL: 0x888e,
  "802.1ad": 0x88a8,
  LLDP: 0x88cc,
  PTP: 0x88f7,
};

/** IP protocol numbers, from IANA's list. */
export const l4Protocols: Readonly<Record<string, number>> = {
  ICMP: 1,
  IGMP: 2,
  IPIP: 4,
  TCP: 6,
  UDP: 17,
  DCCP: 33,
  "6in4": 41,
  GRE: 47,
  ESP: 50,
  AH: 51,
  ICMPv6: 58,
  OSPF: 89,
  VRRP: 112,
  SCTP: 132,
  UDPLite: 136,
};

const flagNames = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/** Every set of TCP flags by its name: `SYN`, `SYN|ACK`, in the order of the bits; `none` for 0. */
export const tcpFlagSets: Readonly<Record<string, number>> = Object.fromEntries(
  Array.from({ length: 256 }, (_, bits) => [flagText(bits), bits]),
);

function flagText(bits: number): string {
  if (bits === 0) return "none";
  return flagNames.filter((_, bit) => (bits & (1 << bit)) !== 0).join("|");
}

function nameOf(table: Readonly<Record<string, number>>): (id: number) => string | undefined {
  const byNumber = new Map(Object.entries(table).map(([name, id]) => [id, name]));
  return (id) => byNumber.get(id);
}

const protocolName = nameOf(protocols);
const l4Name = nameOf(l4Protocols);

const one = (slots: readonly bigint[]): number => Number(slots[0] ?? 0n);
const plain = (slots: readonly bigint[]): string => String(one(slots));
/** A number whose "not known" is an integer outside its range. */
const orUnknown = (unknown: number) => (slots: readonly bigint[]): string =>
  one(slots) === unknown ? "" : plain(slots);
const text = (slots: readonly bigint[]): string => bytesText(slots[0] ?? 0n, slots[1] ?? 0n);
const address = (slots: readonly bigint[]): string => addressText(slots[0] ?? 0n, slots[1] ?? 0n);

const u16 = 0xffff;
const u32 = 0xffff_ffff;

/** All fields, in the order in which they are shown. */
export const fields = {
  reason: {
    doc: "why the kernel dropped it: SOCKET_FILTER, NO_SOCKET, … (`dropwatch reasons` lists them)",
    kind: "reason",
    slots: ["$reason"],
    uses: [],
    label: (slots, names) => names.reason(one(slots)),
  } as Field<ReasonName>,
  subsystem: {
    doc: "whose list of reasons it is from: core, mac80211_unusable, openvswitch, …",
    kind: "reason",
    slots: ["($reason >> 16)"],
    uses: [],
    label: (slots, names) => names.subsystem(one(slots)),
  } as Field<string>,
  class: {
    doc: "what kind of drop the reason is: fault, policy, teardown, normal, unknown",
    kind: "reason",
    slots: ["$reason"],
    uses: [],
    label: (slots, names) => names.classOf(one(slots)),
  } as Field<DropClass>,
  site: {
    doc: "the kernel function that dropped it",
    kind: "site",
    slots: ["$location"],
    uses: ["location"],
    label: (slots, names) => names.site(slots[0] ?? 0n),
  } as Field<string>,
  stack: {
    doc: "the kernel's stack at the drop, outermost function first, joined by `;`",
    kind: "stack",
    slots: ["kstack"],
    uses: [],
    label: () => "",
  } as Field<string>,
  protocol: {
    doc: "the EtherType: IPv4, IPv6, ARP, … or 0x1234",
    kind: "number",
    slots: ["$protocol"],
    uses: ["protocol"],
    named: protocols,
    max: u16,
    unknown: 0,
    label: (slots) => {
      const id = one(slots);
      return id === 0 ? "" : protocolName(id) ?? `0x${id.toString(16).padStart(4, "0")}`;
    },
  } as Field<string>,
  l4: {
    doc: "the protocol over IP: TCP, UDP, ICMP, … or its number",
    kind: "number",
    slots: ["$l4"],
    uses: ["l4"],
    named: l4Protocols,
    max: 255,
    unknown: 256,
    label: (slots) => {
      const id = one(slots);
      return id === 256 ? "" : l4Name(id) ?? String(id);
    },
  } as Field<string>,
  saddr: {
    doc: "the source address, IPv4 or IPv6",
    kind: "bytes",
    bytes: "address",
    slots: ["$saddr_hi", "$saddr_lo"],
    uses: ["addresses"],
    label: address,
  } as Field<string>,
  daddr: {
    doc: "the destination address, IPv4 or IPv6",
    kind: "bytes",
    bytes: "address",
    slots: ["$daddr_hi", "$daddr_lo"],
    uses: ["addresses"],
    label: address,
  } as Field<string>,
  sport: {
    doc: "the source port of TCP, UDP, UDPLite, DCCP or SCTP",
    kind: "number",
    slots: ["$sport"],
    uses: ["ports"],
    max: u16,
    unknown: 65536,
    label: orUnknown(65536),
  } as Field<number>,
  dport: {
    doc: "the destination port of TCP, UDP, UDPLite, DCCP or SCTP",
    kind: "number",
    slots: ["$dport"],
    uses: ["ports"],
    max: u16,
    unknown: 65536,
    label: orUnknown(65536),
  } as Field<number>,
  tcpFlags: {
    doc: "all TCP flags of the packet: SYN, SYN|ACK, PSH|ACK, …; exactly these, no others",
    kind: "number",
    slots: ["$tcp_flags"],
    uses: ["tcpFlags"],
    named: tcpFlagSets,
    max: 255,
    unknown: 256,
    label: (slots) => (one(slots) === 256 ? "" : flagText(one(slots))),
  } as Field<string>,
  retransmitted: {
    doc:
      "whether TCP sent again on the packet's flow within 3 s: yes, no; \"\" for what isn't TCP. " +
      "Counted when it is known. Only a sender on this machine is seen",
    kind: "later",
    slots: ["$saddr_hi", "$saddr_lo", "$daddr_hi", "$daddr_lo", "$sport", "$dport", "$retransmits"],
    uses: ["retransmits"],
    choices: ["yes", "no"],
    // How often it was sent again in the tick, before the drop: what follows the drop makes it more.
    label: (slots) => one(slots.slice(6)) === u32 ? "" : String(one(slots.slice(6))),
  } as Field<"yes" | "no">,
  len: {
    doc:
      "bytes in the packet (skb->len): from the header that was being handled on; a GSO skb is one",
    kind: "number",
    slots: ["$len"],
    uses: ["len"],
    max: u32,
    sums: true,
    label: plain,
  } as Field<number>,
  dev: {
    doc: 'the name of the network device; "" where the kernel has let go of it (TCP sockets do)',
    kind: "bytes",
    bytes: "text",
    slots: ["$dev_hi", "$dev_lo"],
    uses: ["devName"],
    label: text,
  } as Field<string>,
  ifindex: {
    doc: "the index of the network device, or that of the one the packet came in by; 0: none",
    kind: "number",
    slots: ["$ifindex"],
    uses: ["ifindex"],
    max: u32,
    unknown: 0,
    label: orUnknown(0),
  } as Field<number>,
  netns: {
    doc: "the network namespace's inode: the N in net:[N] of /proc/PID/ns/net",
    kind: "number",
    slots: ["$netns"],
    uses: ["netns"],
    max: u32,
    unknown: 0,
    label: orUnknown(0),
  } as Field<number>,
  mark: {
    doc: "the packet's mark (skb->mark), as iptables, nft and ip rule use it",
    kind: "number",
    slots: ["$mark"],
    uses: ["mark"],
    max: u32,
    label: plain,
  } as Field<number>,
  cpu: {
    doc: "the CPU that dropped it",
    kind: "number",
    slots: ["(uint64)cpu"],
    uses: [],
    max: u16,
    label: plain,
  } as Field<number>,
  comm: {
    doc: "the task that was on the CPU, as in bpftrace: often not the one the packet was for",
    kind: "bytes",
    bytes: "text",
    slots: ["$comm_hi", "$comm_lo"],
    uses: ["comm"],
    label: text,
  } as Field<string>,
  pid: {
    doc: "the process that was on the CPU, as in bpftrace: often not the one the packet was for",
    kind: "number",
    slots: ["(uint64)pid"],
    uses: [],
    max: u32,
    label: plain,
  } as Field<number>,
  ownerInode: {
    doc: "the inode of the socket the packet belongs to: the N in socket:[N] of /proc/PID/fd",
    kind: "number",
    slots: ["$owner_inode"],
    uses: ["ownerInode"],
    max: Number.MAX_SAFE_INTEGER,
    unknown: 0,
    label: orUnknown(0),
  } as Field<number>,
  ownerPort: {
    doc: "the local port of the socket the packet belongs to; of a raw socket its protocol",
    kind: "number",
    slots: ["$owner_port"],
    uses: ["ownerPort"],
    max: u16,
    unknown: 0,
    label: orUnknown(0),
  } as Field<number>,
  cgroupId: {
    doc: "the inode of the cgroup v2 directory of the socket the packet belongs to",
    kind: "number",
    slots: ["$cgroup_id"],
    uses: ["cgroupId"],
    max: Number.MAX_SAFE_INTEGER,
    unknown: 0,
    label: orUnknown(0),
  } as Field<number>,
  owner: {
    doc: "the process that the packet's socket belongs to, by its name (/proc/PID/comm)",
    kind: "lookup",
    lookedUpBy: "ownerInode",
    slots: ["$owner_inode"],
    uses: ["ownerInode"],
    label: (slots, names) => names.owner(one(slots)).name,
  } as Field<string>,
  ownerPid: {
    doc: "the process that the packet's socket belongs to, by its number",
    kind: "lookup",
    lookedUpBy: "ownerInode",
    slots: ["$owner_inode"],
    uses: ["ownerInode"],
    max: u32,
    unknown: 0,
    label: (slots, names) => names.owner(one(slots)).pid,
  } as Field<number>,
  ownerUid: {
    doc: "the effective user id of the process that the packet's socket belongs to",
    kind: "lookup",
    lookedUpBy: "ownerInode",
    slots: ["$owner_inode"],
    uses: ["ownerInode"],
    max: u32,
    unknown: u32 + 1,
    label: (slots, names) => names.owner(one(slots)).uid,
  } as Field<number>,
  unit: {
    doc: "the systemd unit that the packet's socket was made in: ssh.service",
    kind: "lookup",
    lookedUpBy: "cgroupId",
    slots: ["$cgroup_id"],
    uses: ["cgroupId"],
    label: (slots, names) => names.cgroup(one(slots)).unit,
  } as Field<string>,
  container: {
    doc:
      "the container that the packet's socket was made in: its id's first 12 digits, or its name",
    kind: "lookup",
    lookedUpBy: "cgroupId",
    slots: ["$cgroup_id"],
    uses: ["cgroupId"],
    label: (slots, names) => names.cgroup(one(slots)).container,
  } as Field<string>,
};

/** The name of a field. */
export type FieldName = keyof typeof fields;

/** What a rule compares a field with. */
export type FieldValue<F extends FieldName> = (typeof fields)[F] extends Field<infer V> ? V : never;

/** The fields that can be summed. */
export type SummableField = "len";

/** All names, in the catalogue's order. */
export const fieldNames: readonly FieldName[] = Object.keys(fields) as FieldName[];

/** The entry of a field, whatever its type. */
export function fieldOf(name: FieldName): Field<string | number> {
  return fields[name] as Field<string | number>;
}

/** Whether a string is the name of a field. */
export function isFieldName(name: string): name is FieldName {
  return Object.hasOwn(fields, name);
}

/** One dropped packet, each field as its label; a field that wasn't read is missing. */
export type Drop = { readonly [F in FieldName]?: string };
