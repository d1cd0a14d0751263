// The pieces of the probe that read a packet: each sets variables that fields use, and says what it
// needs of the kernel. A program holds only those that its rules ask for, where they ask for them.
//
// What bites: bpftrace 0.17 may read a tracepoint's argument only once and first of all (LLVM moves
// the context pointer otherwise, and the verifier refuses), 0.23 scopes variables to their block,
// and no version before 0.23 can take the address of a field: `(struct X *)((uint64)$p + 8)` reads
// the second half of a 16-byte name.

/** What the running kernel offers a probe. */
export interface KernelFacts {
  /** `6.18.44`, as uname -r prints it. */
  readonly release: string;
  /** The fields of tracepoint:skb:kfree_skb. */
  readonly args: ReadonlySet<string>;
  /** Whether the kernel's types are known (/sys/kernel/btf/vmlinux). */
  readonly btf: boolean;
  /** Whether `struct sock` has `sk_ino` (Linux 6.18): one read in place of two. */
  readonly skIno: boolean;
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

export interface Fragment {
  /** Fragments whose variables this one reads. */
  readonly after: readonly FragmentName[];
  /** The tracepoint's argument that it copies; such a fragment stands at the top of the probe. */
  readonly arg?: string;
  /** Whether it reads the kernel's structs, and so needs BTF. */
  readonly btf: boolean;
  readonly code: (kernel: KernelFacts) => string;
}

/** A kernel pointer has its top bit set; anything else in a union of pointers is not one. */
const isPointer = (variable: string): string => `(int64)${variable} < 0`;

/** A big-endian 16-bit number at an address. */
const be16 = (variable: string, at: string): string =>
  `${variable} = (uint64)*(uint16 *)(${at}); ` +
  `${variable} = (${variable} >> 8) | ((${variable} & 0xff) << 8);`;

const extensionHeader = `
if ($next == 0 || $next == 43 || $next == 60) {
  if ($th + 8 <= $tail) {
    $next = (uint64)*(uint8 *)($head + $th);
    $th = $th + ((uint64)*(uint8 *)($head + $th + 1) + 1) * 8;
  } else { $next = (uint64)256; }
} else { if ($next == 44) {
  if ($th + 8 <= $tail) {
    ${be16("$frag", "$head + $th + 2")}
    if (($frag & 0xfff8) != 0) { $later = (uint64)1; }
    $next = (uint64)*(uint8 *)($head + $th);
    $th = $th + 8;
  } else { $next = (uint64)256; }
} }`;

export const fragments: Readonly<Record<FragmentName, Fragment>> = {
  location: {
    after: [],
    arg: "location",
    btf: false,
    code: () => "$location = (int64)args->location;",
  },
  protocol: {
    after: [],
    arg: "protocol",
    btf: false,
    code: () => "$protocol = (uint64)args->protocol;",
  },
  skb: {
    after: [],
    arg: "skbaddr",
    btf: true,
    code: () => "$skb = (struct sk_buff *)args->skbaddr;",
  },
  // The socket of a packet on receive is rx_sk (Linux 6.11), on transmit and for unix sockets
  // skb->sk. A request or time-wait mini-socket (states 12 and 6) is no full sock.
  rxSock: {
    after: [],
    arg: "rx_sk",
    btf: false,
    code: (kernel) =>
      kernel.args.has("rx_sk") ? "$rx_sk = (uint64)args->rx_sk;" : "$rx_sk = (uint64)0;",
  },
  sock: {
    after: ["skb", "rxSock"],
    btf: true,
    code: () => `
$sk = $rx_sk;
if ($sk == 0) { $sk = (uint64)$skb->sk; }
if ((int64)$sk < 0) {
  $state = (uint64)((struct sock *)$sk)->__sk_common.skc_state;
  if ($state == 12 || $state == 6) { $sk = (uint64)0; }
} else { $sk = (uint64)0; }`,
  },
  // $nh is where the IP header begins, counted from skb->head, and $tail where the linear data
  // ends; $version is 0 where there is no whole header.
  network: {
    after: ["skb", "protocol"],
    btf: true,
    code: () => `
$head = (uint64)$skb->head;
$nh = (uint64)$skb->network_header;
$tail = (uint64)$skb->tail;
$version = (uint64)0; $first = (uint64)0;
if ($nh != 0) {
  if ($protocol == 0x800) {
    if ($nh + 20 <= $tail) {
      $first = (uint64)*(uint8 *)($head + $nh);
      if (($first >> 4) == 4 && ($first & 15) >= 5) { $version = (uint64)4; }
    }
  } else { if ($protocol == 0x86dd) {
    if ($nh + 40 <= $tail) {
      $first = (uint64)*(uint8 *)($head + $nh);
      if (($first >> 4) == 6) { $version = (uint64)6; }
    }
  } }
}`,
  },
  addresses: {
    after: ["network"],
    btf: true,
    code: () => `
$saddr_hi = (int64)-1; $saddr_lo = (int64)-1; $daddr_hi = (int64)-1; $daddr_lo = (int64)-1;
if ($version == 4) {
  $saddr_hi = (int64)0; $daddr_hi = (int64)0;
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
    btf: true,
    code: () => `
$next = (uint64)256; $th = (uint64)0; $later = (uint64)0; $frag = (uint64)0;
if ($version == 4) {
  $next = (uint64)*(uint8 *)($head + $nh + 9);
  $th = $nh + ($first & 15) * 4;
  ${be16("$frag", "$head + $nh + 6")}
  if (($frag & 0x1fff) != 0) { $later = (uint64)1; }
} else { if ($version == 6) {
  $next = (uint64)*(uint8 *)($head + $nh + 6);
  $th = $nh + 40;${extensionHeader.repeat(4)}
  if ($next == 0 || $next == 43 || $next == 44 || $next == 60) { $next = (uint64)256; }
} }
if ($later == 1) { $th = (uint64)0; }`,
  },
  l4: { after: ["transport"], btf: true, code: () => "$l4 = $next;" },
  ports: {
    after: ["transport"],
    btf: true,
    code: () => `
$sport = (uint64)65536; $dport = (uint64)65536;
if ($next == 6 || $next == 17 || $next == 33 || $next == 132 || $next == 136) {
  if ($th != 0 && $th + 4 <= $tail) {
    ${be16("$sport", "$head + $th")}
    ${be16("$dport", "$head + $th + 2")}
  }
}`,
  },
  tcpFlags: {
    after: ["transport"],
    btf: true,
    code: () => `
$tcp_flags = (uint64)256;
if ($next == 6) {
  if ($th != 0 && $th + 14 <= $tail) { $tcp_flags = (uint64)*(uint8 *)($head + $th + 13); }
}`,
  },
  len: { after: ["skb"], btf: true, code: () => "$len = (uint64)$skb->len;" },
  // skb->dev shares its place with dev_scratch and with the links of a tree.
  device: {
    after: ["skb"],
    btf: true,
    code: () => `
$dev = (uint64)$skb->dev;
if (!(${isPointer("$dev")})) { $dev = (uint64)0; }`,
  },
  devName: {
    after: ["device"],
    btf: true,
    code: () => `
$dev_hi = (int64)0; $dev_lo = (int64)0;
if ($dev != 0) {
  $dev_hi = *(int64 *)((struct net_device *)$dev)->name;
  $dev_lo = *(int64 *)((struct net_device *)($dev + 8))->name;
}`,
  },
  ifindex: {
    after: ["device"],
    btf: true,
    code: () => `
$ifindex = (uint64)0;
if ($dev != 0) { $ifindex = (uint64)(uint32)((struct net_device *)$dev)->ifindex; }
else { $ifindex = (uint64)(uint32)$skb->skb_iif; }`,
  },
  netns: {
    after: ["sock", "device"],
    btf: true,
    code: () => `
$netns = (uint64)0;
if ($sk != 0) { $netns = (uint64)((struct sock *)$sk)->__sk_common.skc_net.net->ns.inum; }
else { if ($dev != 0) { $netns = (uint64)((struct net_device *)$dev)->nd_net.net->ns.inum; } }`,
  },
  mark: { after: ["skb"], btf: true, code: () => "$mark = (uint64)$skb->mark;" },
  comm: {
    after: [],
    btf: true,
    code: () => `
$comm_hi = *(int64 *)((struct task_struct *)curtask)->comm;
$comm_lo = *(int64 *)((struct task_struct *)((uint64)curtask + 8))->comm;`,
  },
  ownerInode: {
    after: ["sock"],
    btf: true,
    code: (kernel) =>
      kernel.skIno
        ? `
$owner_inode = (uint64)0;
if ($sk != 0) { $owner_inode = (uint64)((struct sock *)$sk)->sk_ino; }`
        : `
$owner_inode = (uint64)0;
if ($sk != 0) {
  $socket = (uint64)((struct sock *)$sk)->sk_socket;
  if ($socket != 0) {
    $owner_inode = (uint64)((struct socket_alloc *)$socket)->vfs_inode.i_ino;
  }
}`,
  },
  ownerPort: {
    after: ["sock"],
    btf: true,
    code: () => `
$owner_port = (uint64)0;
if ($sk != 0) { $owner_port = (uint64)((struct sock *)$sk)->__sk_common.skc_num; }`,
  },
  cgroupId: {
    after: ["sock"],
    btf: true,
    code: () => `
$cgroup_id = (uint64)0;
if ($sk != 0) {
  $cgroup_id = (uint64)((struct sock *)$sk)->sk_cgrp_data.cgroup->kn->id;
}`,
  },
};

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
    const fragment = fragments[each];
    if (fragment.btf && !kernel.btf) {
      return "the kernel has no BTF (/sys/kernel/btf/vmlinux), so only reason, subsystem, class, " +
        "site, stack, protocol, cpu and pid can be read";
    }
    if (fragment.arg !== undefined && fragment.arg !== "rx_sk" && !kernel.args.has(fragment.arg)) {
      return `skb:kfree_skb has no ${fragment.arg} on Linux ${kernel.release}`;
    }
  }
  return undefined;
}
