// The pieces of the probe that read a packet: each sets variables that fields use, and says what it
// needs of the kernel. A program holds only those that its rules ask for, where they ask for them.
//
// Members of the kernel's structs are named here, and turned into offsets from the running kernel's
// own types: that is what bpftrace would do, but it would take it half a second at every start.
//
// What bites: bpftrace 0.17 may read a tracepoint's argument only once and first of all (LLVM moves
// the context pointer otherwise, and the verifier refuses), and 0.23 scopes variables to their block.

/** A member of a struct by its path: `sock.__sk_common.skc_state`. */
export type MemberName = `${string}.${string}`;

/** Where a member lies in its struct, in bytes. */
export interface Member {
  readonly offset: number;
  readonly size: number;
}

/** What the running kernel offers a probe. */
export interface KernelFacts {
  /** `6.18.44`, as uname -r prints it. */
  readonly release: string;
  /** The fields of tracepoint:skb:kfree_skb. */
  readonly args: ReadonlySet<string>;
  /** Those of tracepoint:tcp:tcp_retransmit_skb; empty where there is none. */
  readonly retransmitArgs: ReadonlySet<string>;
  /** Whether the kernel's types are known (/sys/kernel/btf/vmlinux). */
  readonly btf: boolean;
  /** The members that fragments read, as far as this kernel has them. */
  readonly members: ReadonlyMap<MemberName, Member>;
}

export type FragmentName =
  | "location"
  | "protocol"
  | "skb"
  | "rxSock"
  | "sock"
  | "network"
  | "addresses"
  | "transport"
  | "l4"
  | "ports"
  | "tcpFlags"
  | "retransmits"
  | "len"
  | "device"
  | "devName"
  | "ifindex"
  | "netns"
  | "mark"
  | "comm"
  | "ownerInode"
  | "ownerPort"
  | "cgroupId";

/** Reads a member of the struct at an address: a bpftrace expression of an unsigned integer. */
type Read = (member: MemberName, at: string) => string;

export interface Fragment {
  /** Fragments whose variables this one reads. */
  readonly after: readonly FragmentName[];
  /** The tracepoint's argument that it copies; such a fragment stands at the top of the probe. */
  readonly arg?: string;
  /** The members that it needs. */
  readonly reads?: readonly MemberName[];
  /** Members that it reads where the kernel has them. */
  readonly mayRead?: readonly MemberName[];
  readonly code: (read: Read, kernel: KernelFacts) => string;
}

/** A kernel pointer has its top bit set; anything else in a union of pointers is not one. */
const isPointer = (variable: string): string => `(int64)${variable} < 0`;

// A read is a call of a helper, and costs 2 ms where bpftrace compiles it: headers are read by words
// and taken apart by shifts. Words are little-endian: byte N of a header is bits 8N to 8N + 7.

/** A TCP flow in a key: as the packet has it, from its sender's side. */
const flowKey = "$saddr_hi, $saddr_lo, $daddr_hi, $daddr_lo, $sport, $dport";

const retransmitReads: readonly MemberName[] = [
  "sock.__sk_common.skc_family",
  "sock.__sk_common.skc_rcv_saddr",
  "sock.__sk_common.skc_daddr",
  "sock.__sk_common.skc_num",
  "sock.__sk_common.skc_dport",
];
/** A kernel without IPv6 hasn't got them. */
const retransmitMayRead: readonly MemberName[] = [
  "sock.__sk_common.skc_v6_rcv_saddr",
  "sock.__sk_common.skc_v6_daddr",
];

/** IPv6: hop-by-hop 0, routing 43, fragment 44, destination options 60. */
const extensionHeader = `
if ($next == 0 || $next == 43 || $next == 44 || $next == 60) {
  if ($th + 8 <= $tail) {
    $ext = *(uint64 *)($head + $th);
    if ($next == 44) {
      if ((($ext >> 16) & 0xf8ff) != 0) { $later = (uint64)1; }
      $th = $th + 8;
    } else { $th = $th + ((($ext >> 8) & 0xff) + 1) * 8; }
    $next = $ext & 0xff;
  } else { $next = (uint64)256; }
}`;

export const fragments: Readonly<Record<FragmentName, Fragment>> = {
  location: {
    after: [],
    arg: "location",
    code: () => "$location = (int64)args->location;",
  },
  protocol: {
    after: [],
    arg: "protocol",
    code: () => "$protocol = (uint64)args->protocol;",
  },
  skb: {
    after: [],
    arg: "skbaddr",
    code: () => "$skb = (uint64)args->skbaddr;",
  },
  // The socket of a packet on receive is rx_sk (Linux 6.11), on transmit and for unix sockets
  // skb->sk. A request or time-wait mini-socket (states 12 and 6) is no full sock.
  rxSock: {
    after: [],
    arg: "rx_sk",
    code: (_read, kernel) =>
      kernel.args.has("rx_sk") ? "$rx_sk = (uint64)args->rx_sk;" : "$rx_sk = (uint64)0;",
  },
  sock: {
    after: ["skb", "rxSock"],
    reads: ["sk_buff.sk", "sock.__sk_common.skc_state"],
    code: (read) => `
$sk = $rx_sk;
if ($sk == 0) { $sk = ${read("sk_buff.sk", "$skb")}; }
if (${isPointer("$sk")}) {
  $state = ${read("sock.__sk_common.skc_state", "$sk")};
  if ($state == 12 || $state == 6) { $sk = (uint64)0; }
} else { $sk = (uint64)0; }`,
  },
  // $nh is where the IP header begins, counted from skb->head, and $tail where the linear data
  // ends; $version is 0 where there is no whole header, $ip are its first eight bytes.
  network: {
    after: ["skb", "protocol"],
    reads: ["sk_buff.head", "sk_buff.network_header", "sk_buff.tail"],
    code: (read) => `
$head = ${read("sk_buff.head", "$skb")};
$nh = ${read("sk_buff.network_header", "$skb")};
$tail = ${read("sk_buff.tail", "$skb")};
$version = (uint64)0; $ip = (uint64)0;
if ($nh != 0 && $nh + 20 <= $tail) {
  $ip = *(uint64 *)($head + $nh);
  if ($protocol == 0x800) {
    if (($ip & 0xf0) == 0x40 && ($ip & 15) >= 5) { $version = (uint64)4; }
  } else { if ($protocol == 0x86dd && $nh + 40 <= $tail) {
    if (($ip & 0xf0) == 0x60) { $version = (uint64)6; }
  } }
}`,
  },
  addresses: {
    after: ["network"],
    // ::fffe:0:0 is no address (see bytes.ts).
    code: () => `
$saddr_hi = (int64)0; $saddr_lo = (int64)0xfeff0000;
$daddr_hi = (int64)0; $daddr_lo = (int64)0xfeff0000;
if ($version == 4) {
  $saddr_lo = (int64)(((uint64)*(uint32 *)($head + $nh + 12) << 32) | 0xffff0000);
  $daddr_lo = (int64)(((uint64)*(uint32 *)($head + $nh + 16) << 32) | 0xffff0000);
} else { if ($version == 6) {
  $saddr_hi = *(int64 *)($head + $nh + 8); $saddr_lo = *(int64 *)($head + $nh + 16);
  $daddr_hi = *(int64 *)($head + $nh + 24); $daddr_lo = *(int64 *)($head + $nh + 32);
} }`,
  },
  // $next is the protocol over IP (256: not known), $th where its header begins (0: not in this
  // packet, because a later fragment hasn't one).
  transport: {
    after: ["network"],
    code: () => `
$next = (uint64)256; $th = (uint64)0; $later = (uint64)0;
if ($version == 4) {
  $next = *(uint8 *)($head + $nh + 9) + 0;
  $th = $nh + ($ip & 15) * 4;
  if ((($ip >> 48) & 0xff1f) != 0) { $later = (uint64)1; }
} else { if ($version == 6) {
  $next = ($ip >> 48) & 0xff;
  $th = $nh + 40;${extensionHeader.repeat(2)}
  if ($next == 0 || $next == 43 || $next == 44 || $next == 60) { $next = (uint64)256; }
} }
if ($later == 1) { $th = (uint64)0; }`,
  },
  l4: { after: ["transport"], code: () => "$l4 = $next;" },
  ports: {
    after: ["transport"],
    code: () => `
$sport = (uint64)65536; $dport = (uint64)65536;
if ($next == 6 || $next == 17 || $next == 33 || $next == 132 || $next == 136) {
  if ($th != 0 && $th + 4 <= $tail) {
    $port = *(uint32 *)($head + $th) + 0;
    $sport = (($port & 0xff) << 8) | (($port >> 8) & 0xff);
    $dport = (($port >> 8) & 0xff00) | ($port >> 24);
  }
}`,
  },
  tcpFlags: {
    after: ["transport"],
    code: () => `
$tcp_flags = (uint64)256;
if ($next == 6) {
  if ($th != 0 && $th + 14 <= $tail) { $tcp_flags = (uint64)*(uint8 *)($head + $th + 13); }
}`,
  },
  // How often the flow was sent again in this tick so far: the second probe counts it, see below.
  retransmits: {
    after: ["addresses", "ports"],
    code: () => `
$retransmits = (uint64)0xffffffff;
if ($next == 6 && $sport != 65536) {
  if ($e == 1) { $retransmits = (uint64)@f1[${flowKey}]; }
  else { $retransmits = (uint64)@f0[${flowKey}]; }
}`,
  },
  len: {
    after: ["skb"],
    reads: ["sk_buff.len"],
    code: (read) => `$len = ${read("sk_buff.len", "$skb")};`,
  },
  // skb->dev shares its place with dev_scratch and with the links of a tree.
  device: {
    after: ["skb"],
    reads: ["sk_buff.dev"],
    code: (read) => `
$dev = ${read("sk_buff.dev", "$skb")};
if (!(${isPointer("$dev")})) { $dev = (uint64)0; }`,
  },
  devName: {
    after: ["device"],
    reads: ["net_device.name"],
    code: (_read, kernel) => `
$dev_hi = (int64)0; $dev_lo = (int64)0;
if ($dev != 0) {
  ${words("net_device.name", "$dev", "$dev_hi", "$dev_lo", kernel)}
}`,
  },
  ifindex: {
    after: ["device"],
    reads: ["net_device.ifindex", "sk_buff.skb_iif"],
    code: (read) => `
$ifindex = (uint64)0;
if ($dev != 0) { $ifindex = ${read("net_device.ifindex", "$dev")}; }
else { $ifindex = ${read("sk_buff.skb_iif", "$skb")}; }`,
  },
  netns: {
    after: ["sock", "device"],
    reads: ["sock.__sk_common.skc_net.net", "net_device.nd_net.net", "net.ns.inum"],
    code: (read) => `
$netns = (uint64)0; $net = (uint64)0;
if ($sk != 0) { $net = ${read("sock.__sk_common.skc_net.net", "$sk")}; }
else { if ($dev != 0) { $net = ${read("net_device.nd_net.net", "$dev")}; } }
if ($net != 0) { $netns = ${read("net.ns.inum", "$net")}; }`,
  },
  mark: {
    after: ["skb"],
    reads: ["sk_buff.mark"],
    code: (read) => `$mark = ${read("sk_buff.mark", "$skb")};`,
  },
  comm: {
    after: [],
    reads: ["task_struct.comm"],
    code: (_read, kernel) => `
$task = (uint64)curtask;
${words("task_struct.comm", "$task", "$comm_hi", "$comm_lo", kernel)}`,
  },
  // The inode's number is in the sock itself since Linux 6.18: one read in place of two.
  ownerInode: {
    after: ["sock"],
    reads: ["sock.sk_socket", "socket_alloc.vfs_inode.i_ino"],
    mayRead: ["sock.sk_ino"],
    code: (read, kernel) =>
      kernel.members.has("sock.sk_ino")
        ? `
$owner_inode = (uint64)0;
if ($sk != 0) { $owner_inode = ${read("sock.sk_ino", "$sk")}; }`
        : `
$owner_inode = (uint64)0;
if ($sk != 0) {
  $socket = ${read("sock.sk_socket", "$sk")};
  if ($socket != 0) { $owner_inode = ${read("socket_alloc.vfs_inode.i_ino", "$socket")}; }
}`,
  },
  ownerPort: {
    after: ["sock"],
    reads: ["sock.__sk_common.skc_num"],
    code: (read) => `
$owner_port = (uint64)0;
if ($sk != 0) { $owner_port = ${read("sock.__sk_common.skc_num", "$sk")}; }`,
  },
  cgroupId: {
    after: ["sock"],
    reads: ["sock.sk_cgrp_data.cgroup", "cgroup.kn", "kernfs_node.id"],
    code: (read) => `
$cgroup_id = (uint64)0;
if ($sk != 0) {
  $cgroup = ${read("sock.sk_cgrp_data.cgroup", "$sk")};
  if ($cgroup != 0) {
    $node = ${read("cgroup.kn", "$cgroup")};
    if ($node != 0) { $cgroup_id = ${read("kernfs_node.id", "$node")}; }
  }
}`,
  },
};

/** All members that fragments read, for whoever looks them up. */
export const readMembers: readonly MemberName[] = [
  ...new Set(
    Object.values(fragments).flatMap(({ reads = [], mayRead = [] }) => [...reads, ...mayRead])
      .concat(retransmitReads, retransmitMayRead),
  ),
];

/**
 * Which copy of the maps an event is counted in, as $e. The flag @e is the copy, and a bit that says
 * that a boundary is near: only then time is read, and what comes after the boundary counts in the
 * other copy, so that each tick ends at its boundary exactly. The boundary, @until, is set when the
 * flag is armed and stays until it is armed again: whoever was held up since reading the flag finds
 * the one that belongs to it.
 */
export const chooseCopy = `$flags = @e;
$e = $flags & 1;
if (($flags & 2) == 2) { if (nsecs >= @until) { $e = 1 - $e; } }`;

/**
 * The body of tracepoint:tcp:tcp_retransmit_skb: counts by flow what TCP sent again. One that didn't
 * get out (`err`, since Linux 6.17) isn't counted: before, the kernel didn't report it. No two CPUs
 * do this for one flow at a time, since the socket is locked: `+ 1` is exact.
 */
export function retransmitCode(kernel: KernelFacts): string {
  const read = reader(kernel);
  const v6 = retransmitMayRead.every((member) => kernel.members.has(member));
  const word = (member: MemberName, part: number): string =>
    `*(int64 *)($sk + ${memberOf(member, kernel).offset + part})`;
  const ifV6 = v6
    ? `
else { if ($family == 10) {
  $saddr_hi = ${word("sock.__sk_common.skc_v6_rcv_saddr", 0)};
  $saddr_lo = ${word("sock.__sk_common.skc_v6_rcv_saddr", 8)};
  $daddr_hi = ${word("sock.__sk_common.skc_v6_daddr", 0)};
  $daddr_lo = ${word("sock.__sk_common.skc_v6_daddr", 8)};
} }`
    : "";
  const own = (member: MemberName): string =>
    `(int64)(((uint64)${read(member, "$sk")} << 32) | 0xffff0000)`;
  return `
$sk = (uint64)args->skaddr;
${kernel.retransmitArgs.has("err") ? "$err = (int64)args->err;" : "$err = (int64)0;"}
${chooseCopy}
$saddr_hi = (int64)0; $saddr_lo = (int64)0;
$daddr_hi = (int64)0; $daddr_lo = (int64)0;
$family = ${read("sock.__sk_common.skc_family", "$sk")};
if ($family == 2) {
  $saddr_lo = ${own("sock.__sk_common.skc_rcv_saddr")};
  $daddr_lo = ${own("sock.__sk_common.skc_daddr")};
}${ifV6}
$sport = ${read("sock.__sk_common.skc_num", "$sk")};
$port = ${read("sock.__sk_common.skc_dport", "$sk")};
$dport = (($port & 0xff) << 8) | ($port >> 8);
if ($err == 0) {
  if ($e == 1) { @f1[${flowKey}] = @f1[${flowKey}] + 1; }
  else { @f0[${flowKey}] = @f0[${flowKey}] + 1; }
}`;
}

function memberOf(name: MemberName, kernel: KernelFacts): Member {
  const member = kernel.members.get(name);
  if (member === undefined) throw new RangeError(`Cannot read ${name}: this kernel hasn't got it`);
  return member;
}

/** The two words of a name of sixteen bytes that is a member of the struct at an address. */
function words(name: MemberName, at: string, hi: string, lo: string, kernel: KernelFacts): string {
  const { offset } = memberOf(name, kernel);
  return `${hi} = *(int64 *)(${at} + ${offset}); ${lo} = *(int64 *)(${at} + ${offset + 8});`;
}

/** The statements of a fragment on a kernel. */
export function fragmentCode(name: FragmentName, kernel: KernelFacts): string {
  return fragments[name].code(reader(kernel), kernel);
}

function reader(kernel: KernelFacts): Read {
  return (member, at) => {
    const { offset, size } = memberOf(member, kernel);
    // Adding 0 makes it 64 bits wide, as a cast would; but bpftrace 0.17 takes 2 ms for each cast.
    return `*(uint${8 * size} *)(${at} + ${offset})${size === 8 ? "" : " + 0"}`;
  };
}

/** The fragments that `wanted` need, each after those it reads. */
export function withDependencies(wanted: Iterable<FragmentName>): FragmentName[] {
  const order: FragmentName[] = [];
  const visit = (name: FragmentName): void => {
    if (order.includes(name)) return;
    fragments[name].after.forEach(visit);
    order.push(name);
  };
  for (const name of wanted) visit(name);
  return order;
}

/** Why this kernel can't run a fragment; undefined where it can. */
export function unavailable(name: FragmentName, kernel: KernelFacts): string | undefined {
  for (const each of withDependencies([name])) {
    const { arg, reads = [], mayRead = [] } = fragments[each];
    if (reads.length > 0 && !kernel.btf) {
      return "the kernel has no BTF (/sys/kernel/btf/vmlinux), so only reason, subsystem, class, " +
        "site, stack, protocol, cpu and pid can be read";
    }
    if (each === "retransmits" && !kernel.retransmitArgs.has("skaddr")) {
      return "the kernel has no tracepoint tcp:tcp_retransmit_skb";
    }
    const missing = reads.find((member) => !kernel.members.has(member));
    // A newer way to the same serves as well.
    if (missing !== undefined && !mayRead.some((member) => kernel.members.has(member))) {
      return `Linux ${kernel.release} has no ${missing}`;
    }
    if (arg !== undefined && arg !== "rx_sk" && !kernel.args.has(arg)) {
      return `skb:kfree_skb has no ${arg} on Linux ${kernel.release}`;
    }
  }
  return undefined;
}
