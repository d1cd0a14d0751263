// A drop reason is a word from the kernel; whoever is on call needs what it means, how to check it
// and what to change. That can't be read from the running kernel, so it is written down here.

/**
 * What is known about each drop reason, keyed by the kernel's name without `SKB_DROP_REASON_`.
 * Names only: the numbers differ from kernel to kernel. A subsystem (the high 16 bits of a reason)
 * has an entry under its lower-case name, for reasons that couldn't be resolved to a name.
 *
 * How to write an entry:
 * - Read the callers in the kernel's source first. A reason says what its callers do, not what its
 *   name suggests (`XDP` isn't XDP_DROP), and the callers change between releases.
 * - Plain words and short sentences, our own and not the kernel's comments.
 * - `confirm` holds command lines to paste, with a hint after `#` where the output needs one.
 *   `eth0`, `br0`, `wlan0` and `192.0.2.1` stand for the device and the address in the alert.
 *   A counter is named as nstat prints it, and must exist.
 * - The class is that of the cause which a steady rate of it has on a server. Where the harmless
 *   cause is as likely as the harmful one, `causes` says how to tell them apart.
 * - Keep the kernel's order: that of the newest release, and an old name after its new one.
 *
 * @module
 */

/**
 * What a drop of a reason says about the machine.
 *
 * - `fault`: something was lost that somebody wanted, because of a limit, a defect or a wrong setting
 * - `policy`: a rule, a program or a setting on this machine refuses such packets
 * - `teardown`: what was still queued when a socket, a device or a neighbour went away
 * - `normal`: protocols and links at work, or strangers' packets being turned away
 * - `unknown`: the kernel gives no reason; the site and the stack decide
 */
export type DropClass = "fault" | "policy" | "teardown" | "normal" | "unknown";

/** What is known about one drop reason. */
export interface ReasonKnowledge {
  /** What it says about the machine. */
  readonly class: DropClass;
  /** What the kernel did, in one or two sentences. */
  readonly means: string;
  /** Usual causes, most common first. */
  readonly causes: readonly string[];
  /** Command lines that confirm it; `eth0` and `192.0.2.1` stand for those in the alert. */
  readonly confirm: readonly string[];
  /** What to change (sysctl, configuration, code), or `nothing: it is normal`. */
  readonly change: readonly string[];
}

/**
 * Every reason of Linux 6.18, those of older and newer kernels, Open vSwitch's, and the subsystems.
 *
 * @example
 * ```ts
 * knowledge["SOCKET_RCVBUFF"]?.class; // "fault"
 * ```
 */
export const knowledge = {
  NOT_SPECIFIED: {
    class: "unknown",
    means:
      "The code that freed the packet gave no reason. Only the site and the stack tell what happened.",
    causes: [
      "a path without reasons: many drivers, tunnels, the bridge, IPv6 neighbours that don't answer (ndisc_error_report)",
      "an XDP program in generic mode that returned XDP_DROP",
      "a device or a socket that went away with packets still queued",
    ],
    confirm: [
      "perf record -a -g -e skb:kfree_skb sleep 10",
      "ip -s -s link show",
      "nstat -az IpInDiscards IpOutDiscards Ip6InDiscards Ip6OutDiscards",
    ],
    change: [
      "look at the site first: it decides what this is",
      "a newer kernel names more reasons",
    ],
  },
  NO_SOCKET: {
    class: "policy",
    means:
      "No socket takes the packet: nobody listens on that port, or the connection it belongs to is gone; the sender usually gets a RST or an ICMP port unreachable. Classed as policy: what runs on this machine decides which ports are open, and nothing was lost that could have been delivered.",
    causes: [
      "a port scan, or clients of a service that was here once",
      "answers that come after the client has closed its socket (DNS time-outs, ping)",
      "a service of your own that stopped (a sudden rise on its port), or listens on another address or network namespace",
      "the ACK that ends a handshake finds no request any more, or a wrong SYN cookie",
    ],
    confirm: [
      "ss -lntup",
      "nstat -az UdpNoPorts Udp6NoPorts TcpOutRsts TcpExtSyncookiesFailed",
    ],
    change: [
      "start the service, or fix the address it binds to",
      "drop the scanned ports in the firewall, if the RSTs and ICMP errors are a burden",
      "otherwise nothing: the machine refuses what it has no use for",
    ],
  },
  SOCKET_CLOSE: {
    class: "teardown",
    means:
      "A unix or MPTCP socket was closed while data that nobody had read was still in its receive queue.",
    causes: [
      "a program exits or closes its end without reading to the end",
      "the unix garbage collector frees sockets that only refer to each other",
    ],
    confirm: ["ss -xp"],
    change: [
      "nothing: it is normal",
      "if messages are missed, read until end of file before close()",
    ],
  },
  SOCKET_FILTER: {
    class: "policy",
    means:
      "A filter on the receiving socket (SO_ATTACH_FILTER, SO_ATTACH_BPF) or an ingress BPF program of its cgroup refused the packet. Older kernels also count a refusal by a security module here, and packets from memory reserves.",
    causes: [
      "a program that filters its own socket on purpose and gets more than it wants (multicast discovery, DHCP)",
      "a filter that is wrong or out of date for the traffic of today",
      "IPAddressDeny= of a systemd unit, or another cgroup program",
    ],
    confirm: [
      "ss -uwamp # the socket whose d in skmem grows",
      "nstat -az UdpInErrors Udp6InErrors UdpRcvbufErrors Udp6RcvbufErrors # InErrors grows alone",
      "bpftool cgroup tree",
    ],
    change: [
      "nothing, if the program means it",
      "fix the filter in the program, or the unit's IPAddressAllow= and IPAddressDeny=",
      "join fewer multicast groups, or connect() the socket, so that the kernel needn't filter",
    ],
  },
  SOCKET_RCVBUFF: {
    class: "fault",
    means:
      "The receive buffer of a UDP, raw, ping or other datagram socket is full, so the packet was thrown away. TCP never gives this reason.",
    causes: [
      "the program reads too slowly, is blocked, or is short of CPU",
      "a burst larger than SO_RCVBUF (the default is net.core.rmem_default)",
      "a socket that nobody reads: leaked, or opened only to send",
    ],
    confirm: [
      "ss -uwamp # Recv-Q near rb, and d grows",
      "nstat -az UdpRcvbufErrors Udp6RcvbufErrors",
    ],
    change: [
      "set a larger SO_RCVBUF, and raise net.core.rmem_max to allow it (net.core.rmem_default for programs that set none)",
      "read faster: recvmmsg, UDP_GRO, more threads with SO_REUSEPORT",
      "close the socket or connect() it, if nobody wants what it gets",
    ],
  },
  UNIX_DISCONNECT: {
    class: "teardown",
    means:
      "A unix datagram or seqpacket socket changed its peer, or found it gone, and what it had received from the old peer was thrown away.",
    causes: [
      "the program calls connect() again while messages are queued",
      "the peer was closed, and the next send() noticed",
    ],
    confirm: ["ss -xp"],
    change: ["nothing: it is normal", "if messages are missed, read the queue before connect()"],
  },
  UNIX_SKIP_OOB: {
    class: "normal",
    means: "A read without MSG_OOB went past an out-of-band byte on a unix stream and freed it.",
    causes: ["one end sends with MSG_OOB and the other never reads with MSG_OOB"],
    confirm: ["ss -xp"],
    change: ["nothing: it is normal", "read with MSG_OOB or set SO_OOBINLINE, if the byte matters"],
  },
  PKT_TOO_SMALL: {
    class: "fault",
    means: "The packet ends before the headers, or the length written in its headers, say it does.",
    causes: [
      "a sender or a middlebox that writes wrong lengths",
      "a capture or mirror port that cuts frames and feeds them back",
      "a driver or a virtual device that hands over short buffers",
    ],
    confirm: [
      "nstat -az IpExtInTruncatedPkts Ip6InTruncatedPkts UdpInErrors Udp6InErrors TcpInErrs",
      "tcpdump -c 20 -env -i eth0",
    ],
    change: [
      "fix or replace the sender",
      "update the driver, or switch off GRO and LRO to test: ethtool -K eth0 gro off lro off",
    ],
  },
  TCP_CSUM: {
    class: "fault",
    means: "The TCP checksum is wrong.",
    causes: [
      "a NIC, a cable, a switch or a middlebox that damages packets",
      "a driver or NIC with a broken checksum offload, at either end",
      "a path between VMs or containers where the checksum was left to an offload that never ran",
    ],
    confirm: ["nstat -az TcpInCsumErrors TcpInErrs", "ethtool -S eth0", "ethtool -k eth0"],
    change: [
      "test without offload: ethtool -K eth0 rx off here, tx off at the sender",
      "replace what damages them: start with the sender or the link they have in common",
    ],
  },
  UDP_CSUM: {
    class: "fault",
    means: "The UDP checksum is wrong.",
    causes: [
      "a NIC, a cable, a switch or a middlebox that damages packets",
      "a driver or NIC with a broken checksum offload, common with tunnels over UDP",
      "a path between VMs or containers where the checksum was left to an offload that never ran",
    ],
    confirm: ["nstat -az UdpInCsumErrors Udp6InCsumErrors", "ethtool -S eth0", "ethtool -k eth0"],
    change: [
      "test without offload: ethtool -K eth0 rx off here, tx off at the sender",
      "replace what damages them: start with the sender or the link they have in common",
    ],
  },
  NETFILTER_DROP: {
    class: "policy",
    means:
      "A netfilter hook dropped the packet: a rule or chain policy of nftables or iptables, or connection tracking that couldn't take it.",
    causes: [
      "a firewall rule, or a chain whose policy is drop",
      "a full connection tracking table, which is a fault: the kernel logs `nf_conntrack: table full`",
      "an NFQUEUE that is full or has no program behind it",
      "net.bridge.bridge-nf-call-iptables=1, so that bridged packets meet rules meant for routed ones",
    ],
    confirm: [
      "nft list ruleset",
      "iptables-save -c",
      "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
    ],
    change: [
      "nothing, if the rule means it; otherwise trace one packet with meta nftrace set 1 and nft monitor trace",
      "raise net.netfilter.nf_conntrack_max, or exempt the flood with notrack",
    ],
  },
  OTHERHOST: {
    class: "normal",
    means:
      "An IP packet whose frame is addressed to another machine's MAC reached this one, and was thrown away.",
    causes: [
      "an interface in promiscuous mode: a capture, a bridge, macvlan, a VM",
      "a switch that floods because it doesn't know the destination, or a mirror port",
      "frames of a VLAN that has no device here",
    ],
    confirm: [
      "ip -d link show # promiscuity",
      "tcpdump -p -c 20 -en -i eth0",
      "ip -s -s link show",
    ],
    change: [
      "nothing: it is normal",
      "stop the capture, or prune the VLAN on the switch port, if the rate is high",
    ],
  },
  IP_CSUM: {
    class: "fault",
    means: "The checksum of the IPv4 header is wrong.",
    causes: [
      "a NIC, a link or a memory that damages packets",
      "a router or an XDP, tc or user-space program that edits the header and doesn't fix the checksum",
    ],
    confirm: ["nstat -az IpExtInCsumErrors IpInHdrErrors", "ethtool -S eth0"],
    change: ["fix or replace what edits or damages the header"],
  },
  IP_INHDR: {
    class: "fault",
    means:
      "The IP header can't be used: bad version, length or options, an IPv6 address that isn't allowed there, or a TTL or hop limit that ran out while forwarding.",
    causes: [
      "on a router: traceroute (a few), or a routing loop (a flood); IcmpOutTimeExcds rises with it",
      "a sender or a middlebox that builds bad headers or uses IP options",
      "IPv6 packets with ::1 or a multicast address as source",
    ],
    confirm: [
      "nstat -az IpInHdrErrors Ip6InHdrErrors IcmpOutTimeExcds Icmp6OutTimeExcds",
      "ip route get 192.0.2.1 # the destination: does it go back where it came from?",
      "tcpdump -c 20 -nv -i eth0 'ip[8] <= 1 or ip6[7] <= 1'",
    ],
    change: [
      "a loop: fix the routes, and add a blackhole route for the prefix that is announced",
      "bad headers: fix the sender",
    ],
  },
  IP_RPFILTER: {
    class: "policy",
    means:
      "The reverse path filter refused an IPv4 packet: by the routing table, its source isn't reached through the interface it came in on (rp_filter=1), or isn't reached at all (rp_filter=2).",
    causes: [
      "asymmetric routing, or two interfaces in one network",
      "policy routing or a VPN with fwmark, which the reverse lookup doesn't see",
      "forged source addresses",
    ],
    confirm: [
      "nstat -az TcpExtIPReversePathFilter",
      "ip route get 192.0.2.1 # the packet's source: which device comes out?",
      "sysctl -a -r '[.]rp_filter$' # the larger of all and the device counts",
    ],
    change: [
      "add the missing return route or rule",
      "net.ipv4.conf.eth0.rp_filter=2 where routing is asymmetric; net.ipv4.conf.all.src_valid_mark=1 where marks decide",
      "nothing, if the sources are forged",
    ],
  },
  UNICAST_IN_L2_MULTICAST: {
    class: "policy",
    means:
      "A unicast IP packet came in a broadcast or multicast frame, and drop_unicast_in_l2_multicast is set on the interface.",
    causes: [
      "somebody on the Wi-Fi misuses the group key to reach other stations",
      "an access point or a cluster that sends unicast in multicast frames (network load balancing)",
    ],
    confirm: [
      "sysctl -a -r drop_unicast_in_l2_multicast",
      "tcpdump -c 20 -en -i eth0 'ether multicast and not (ip multicast or ip6 multicast or ip broadcast)'",
    ],
    change: ["set drop_unicast_in_l2_multicast=0 on the interface, if such traffic is wanted"],
  },
  XFRM_POLICY: {
    class: "policy",
    means:
      "An IPsec policy doesn't let the packet in, out or through: it isn't protected as the policy asks, or no state fits.",
    causes: [
      "plain packets from a peer for which a policy demands IPsec: the tunnel is down, or one side was restarted",
      "the security association has expired or doesn't match the policy's template",
      "a policy that covers more addresses than was meant, or blocks them",
    ],
    confirm: ["cat /proc/net/xfrm_stat", "ip -s xfrm policy", "ip -s xfrm state"],
    change: [
      "bring the tunnel up again at both ends, or fix its traffic selectors",
      "add a policy of lower priority number that allows what should go in plain",
    ],
  },
  IP_NOPROTO: {
    class: "normal",
    means:
      "Nothing on this machine handles the protocol number in the IP header, neither the kernel nor a raw socket; since Linux 6.9 a raw socket whose receive buffer is full is none. Classed as normal like NO_SOCKET: the sender gets an ICMP error, and but for that case nothing is lost that could have been delivered.",
    causes: [
      "routing or cluster protocols that neighbours multicast (OSPF, PIM, VRRP) and no daemon here takes",
      "GRE, SCTP, IPIP or ESP without the module loaded or the tunnel configured",
      "a daemon that doesn't read its raw socket fast enough",
      "scans",
    ],
    confirm: [
      "nstat -az IpInUnknownProtos Ip6InUnknownProtos",
      "tcpdump -c 20 -n -i eth0 'not (tcp or udp or icmp or icmp6 or arp)'",
      "ss -wap",
    ],
    change: [
      "nothing: it is normal",
      "load the module or start the daemon, if the protocol is wanted here",
    ],
  },
  PROTO_MEM: {
    class: "fault",
    means:
      "Memory for received data is used up: the protocol's total (tcp_mem, udp_mem), the cgroup's memory limit or, for TCP, the socket's own receive buffer after pruning didn't help.",
    causes: [
      "TCP: a program that reads too slowly, while small segments fill the receive buffer with overhead",
      "many sockets with full queues: net.ipv4.tcp_mem or net.ipv4.udp_mem is reached",
      "the container's memory limit is reached",
    ],
    confirm: [
      "nstat -az TcpExtTCPRcvQDrop TcpExtTCPOFODrop TcpExtTCPMemoryPressures UdpMemErrors Udp6MemErrors",
      "cat /proc/net/sockstat /proc/sys/net/ipv4/tcp_mem /proc/sys/net/ipv4/udp_mem # mem is in pages",
      "ss -tuamp",
    ],
    change: [
      "find the sockets with a large Recv-Q, and make their program read or close them",
      "raise net.ipv4.tcp_mem or net.ipv4.udp_mem, the maximum in net.ipv4.tcp_rmem, or the cgroup's memory limit",
    ],
  },
  TCP_AUTH_HDR: {
    class: "fault",
    means: "A TCP segment has a malformed MD5 or AO option, or more than one of them.",
    causes: [
      "a peer or a middlebox that writes both options, or damages them",
      "crafted packets",
    ],
    confirm: ["tcpdump -c 20 -nv -i eth0 'tcp port 179' # the port of the alert"],
    change: ["configure either MD5 or AO at the peer, not both", "fix the middlebox"],
  },
  TCP_MD5NOTFOUND: {
    class: "fault",
    means: "A TCP-MD5 key is set for this peer, and the segment isn't signed.",
    causes: [
      "the peer has no password configured (BGP)",
      "something else at the peer's address connects to the port",
    ],
    confirm: ["nstat -az TcpExtTCPMD5NotFound", "tcpdump -c 20 -nv -i eth0 'tcp port 179'"],
    change: ["set the same password at both ends"],
  },
  TCP_MD5UNEXPECTED: {
    class: "fault",
    means: "The segment is signed with TCP-MD5, and no key is set for this peer.",
    causes: [
      "the password is set at the peer only (BGP)",
      "the peer uses another source address, or another VRF, than the key was set for",
    ],
    confirm: ["nstat -az TcpExtTCPMD5Unexpected", "tcpdump -c 20 -nv -i eth0 'tcp port 179'"],
    change: ["set the password here too, for the address and the VRF the peer comes from"],
  },
  TCP_MD5FAILURE: {
    class: "fault",
    means: "The TCP-MD5 signature is wrong.",
    causes: [
      "different passwords at the two ends",
      "NAT or a middlebox in between: addresses and ports are part of what is signed",
    ],
    confirm: ["nstat -az TcpExtTCPMD5Failure", "tcpdump -c 20 -nv -i eth0 'tcp port 179'"],
    change: ["set the same password at both ends", "take NAT out of the path"],
  },
  TCP_AONOTFOUND: {
    class: "fault",
    means: "TCP-AO is required for this peer, and the segment isn't signed.",
    causes: [
      "the peer has no TCP-AO key configured",
      "something else at the peer's address connects to the port",
    ],
    confirm: ["nstat -az TcpExtTCPAORequired", "tcpdump -c 20 -nv -i eth0 'tcp port 179'"],
    change: ["configure the same TCP-AO keys at both ends"],
  },
  TCP_AOUNEXPECTED: {
    class: "fault",
    means: "The segment is signed with TCP-AO, and this socket has no TCP-AO keys at all.",
    causes: [
      "TCP-AO is configured at the peer only",
      "the program here set its keys on another socket, or lost them in a restart",
    ],
    confirm: ["nstat -az TcpExtTCPAOKeyNotFound", "tcpdump -c 20 -nv -i eth0 'tcp port 179'"],
    change: ["configure the same TCP-AO keys at both ends"],
  },
  TCP_AOKEYNOTFOUND: {
    class: "fault",
    means: "The segment names a TCP-AO key that this socket doesn't have.",
    causes: [
      "a key rotation that reached one end only",
      "the key was added for another address, VRF or pair of key ids",
    ],
    confirm: ["nstat -az TcpExtTCPAOKeyNotFound", "tcpdump -c 20 -nv -i eth0 'tcp port 179'"],
    change: ["add the new key at both ends before either of them sends with it"],
  },
  TCP_AOFAILURE: {
    class: "fault",
    means:
      "The TCP-AO signature is wrong or has the wrong length, or the handshake mixed signed and unsigned segments.",
    causes: [
      "different secrets, algorithms or lengths for the same key id",
      "NAT or a middlebox in between",
    ],
    confirm: ["nstat -az TcpExtTCPAOBad", "tcpdump -c 20 -nv -i eth0 'tcp port 179'"],
    change: ["set the same secret and algorithm at both ends", "take NAT out of the path"],
  },
  SOCKET_BACKLOG: {
    class: "fault",
    means:
      "The program held the socket's lock while packets came in, and the list where they wait for it was full (for TCP at least twice the receive buffer on current kernels).",
    causes: [
      "one fast connection whose thread is short of CPU, or sits in a long send or receive call",
      "a small SO_RCVBUF on a fast connection",
      "many tiny or out-of-order segments, each with the overhead of a whole buffer",
    ],
    confirm: [
      "nstat -az TcpExtTCPBacklogDrop",
      "ss -tmnp # bl in skmem is the backlog, d the drops",
    ],
    change: [
      "give the program more CPU, or split the traffic over more connections",
      "don't set SO_RCVBUF so that TCP can size it, or raise the maximum in net.ipv4.tcp_rmem",
    ],
  },
  TCP_FLAGS: {
    class: "normal",
    means:
      "The TCP flags make no sense in the socket's state: an ACK to a listening port without a handshake, SYN with FIN, or none of SYN, ACK and RST.",
    causes: [
      "segments of connections that this machine has forgotten: a restart, a failover of a load balancer",
      "scans",
    ],
    confirm: [
      "nstat -az TcpOutRsts TcpExtSyncookiesFailed",
      "tcpdump -c 20 -n -i eth0 'tcp[tcpflags] & tcp-syn == 0 and dst port 443' # the port of the alert",
    ],
    change: ["nothing: it is normal"],
  },
  TCP_ABORT_ON_DATA: {
    class: "teardown",
    means:
      "Data came for a connection that the program here has already closed; the kernel answers with a RST. Or the program asked not to wait for the peer's FIN.",
    causes: [
      "the program closes the connection while the peer is still sending",
      "a negative TCP_LINGER2",
    ],
    confirm: ["nstat -az TcpExtTCPAbortOnData TcpExtTCPAbortOnClose", "ss -tno state fin-wait-1"],
    change: [
      "nothing: it is normal",
      "if clients see resets: shutdown(SHUT_WR), then read to the end, then close()",
    ],
  },
  TCP_ZEROWINDOW: {
    class: "fault",
    means:
      "Data came although this side had announced a receive window of zero: the program isn't reading, so the data was thrown away.",
    causes: [
      "the program reads too slowly or hangs, and the peer probes the closed window",
      "a peer that sends although the window is closed",
    ],
    confirm: [
      "nstat -az TcpExtTCPZeroWindowDrop TcpExtTCPToZeroWindowAdv TcpExtTCPFromZeroWindowAdv",
      "ss -tmnp # the connection with a large Recv-Q",
    ],
    change: [
      "find out why the program doesn't read",
      "raise the maximum in net.ipv4.tcp_rmem, if it reads in bursts",
    ],
  },
  TCP_OLD_DATA: {
    class: "normal",
    means: "All the data of the segment has already been received; it is acknowledged once more.",
    causes: [
      "a retransmission that wasn't needed: an ACK was lost or late",
      "reordering or duplication in the network",
    ],
    confirm: ["nstat -az TcpExtDelayedACKLost TcpExtTCPDSACKOldSent"],
    change: [
      "nothing: it is normal",
      "if it is more than a few per mille of the segments, look for loss on the way back to the sender",
    ],
  },
  TCP_OVERWINDOW: {
    class: "fault",
    means:
      "Data starts beyond the end of the receive window and was thrown away. The same reason is used for a segment outside the window during the handshake.",
    causes: [
      "a program that reads too slowly, and a peer that overruns the window or probes it",
      "a peer or a middlebox that gets the window scale wrong",
      "stray segments of an older connection on the same ports",
    ],
    confirm: [
      "nstat -az TcpExtBeyondWindow TcpExtTCPToZeroWindowAdv",
      "ss -tmnp # the connection with a large Recv-Q",
    ],
    change: [
      "make the program read faster, or raise the maximum in net.ipv4.tcp_rmem",
      "fix the middlebox that strips or changes the window scale option",
    ],
  },
  TCP_OFOMERGE: {
    class: "normal",
    means:
      "The segment's data is already in the out-of-order queue, or a larger segment has replaced it there.",
    causes: [
      "retransmissions after a loss",
      "reordering or duplication in the network",
    ],
    confirm: ["nstat -az TcpExtTCPOFOMerge TcpExtTCPDSACKOfoSent TcpExtTCPOFOQueue"],
    change: ["nothing: it is normal"],
  },
  TCP_RFC7323_PAWS: {
    class: "normal",
    means:
      "The segment's TCP timestamp is older than one already seen on the connection (PAWS), or the answer to a SYN echoes a timestamp that was never sent.",
    causes: [
      "reordered or duplicated segments",
      "several machines with different clocks behind one NAT address and port",
      "a middlebox that changes timestamps: then connections hang or fail, and it is a fault",
    ],
    confirm: [
      "nstat -az TcpExtPAWSEstab TcpExtPAWSActive TcpExtTCPACKSkippedPAWS",
      "tcpdump -c 40 -nv -i eth0 'tcp and host 192.0.2.1' # compare TS val",
    ],
    change: [
      "nothing, if connections work",
      "fix the NAT or the middlebox; as a test only, net.ipv4.tcp_timestamps=0",
    ],
  },
  TCP_RFC7323_PAWS_ACK: {
    class: "normal",
    means: "An old pure ACK with an older timestamp than the newest was ignored.",
    causes: ["ACKs overtaken by newer packets: several queues or paths, Wi-Fi"],
    confirm: ["nstat -az TcpExtPAWSOldAck"],
    change: ["nothing: it is normal"],
  },
  TCP_RFC7323_TW_PAWS: {
    class: "normal",
    means: "A segment with an old timestamp came for a connection in TIME-WAIT.",
    causes: [
      "late or duplicated segments of a connection that has just ended",
      "clients behind one NAT address that reuse a port with another clock: their SYN is lost once",
    ],
    confirm: [
      "nstat -az TcpExtPAWSTimewait TcpExtTCPACKSkippedTimeWait",
      "ss -tan state time-wait",
    ],
    change: ["nothing: it is normal", "use a wider range of source ports at the NAT"],
  },
  TCP_RFC7323_TSECR: {
    class: "normal",
    means:
      "The ACK that should end a handshake echoes a timestamp which this side never sent, so it was refused.",
    causes: [
      "forged or very late ACKs to a listening port",
      "a middlebox that changes timestamps: then handshakes fail, and it is a fault",
    ],
    confirm: [
      "nstat -az TcpExtTSEcrRejected",
      "tcpdump -c 40 -nv -i eth0 'tcp and host 192.0.2.1' # compare TS ecr with our TS val",
    ],
    change: ["nothing, if clients can connect", "fix the middlebox"],
  },
  TCP_LISTEN_OVERFLOW: {
    class: "fault",
    means:
      "A handshake was complete, but the listening socket couldn't take the connection, nearly always because its accept queue is full. SYNs refused for the same cause aren't counted here, only in ListenOverflows.",
    causes: [
      "the program accepts too slowly: busy, blocked, or out of file descriptors",
      "a backlog that is too small for bursts of new connections (listen(), net.core.somaxconn)",
      "rarely: no memory or no route for the new connection; then ListenDrops grows without ListenOverflows",
    ],
    confirm: [
      "ss -ltnp # Recv-Q above Send-Q: the accept queue is full",
      "nstat -az TcpExtListenOverflows TcpExtListenDrops",
    ],
    change: [
      "raise the backlog in the program and net.core.somaxconn, then restart the program",
      "accept faster: more threads, SO_REUSEPORT, a higher limit of open files",
    ],
  },
  TCP_OLD_SEQUENCE: {
    class: "normal",
    means:
      "The whole segment lies before the receive window; the kernel answers with an ACK of where it is.",
    causes: [
      "TCP keepalives and zero window probes: they carry an old sequence number on purpose",
      "duplicates and retransmissions that weren't needed",
    ],
    confirm: ["nstat -az TcpExtTCPACKSkippedSeq TcpExtTCPDSACKOldSent"],
    change: ["nothing: it is normal"],
  },
  TCP_INVALID_SEQUENCE: {
    class: "normal",
    means:
      "The segment lies outside the receive window. The kernel answers with an ACK, unless it is a RST.",
    causes: [
      "stray segments of an older connection on the same ports",
      "blind injection attempts, forged RSTs",
      "a NAT, firewall or load balancer that rewrites sequence numbers wrongly: then transfers hang",
    ],
    confirm: ["nstat -az TcpExtBeyondWindow TcpExtTCPACKSkippedSeq", "ss -tinp"],
    change: ["nothing, if connections work", "fix the middlebox"],
  },
  TCP_INVALID_END_SEQUENCE: {
    class: "fault",
    means:
      "The segment starts inside the receive window and ends beyond it, and the program still has unread data, so it was thrown away.",
    causes: [
      "a program that reads too slowly, and a peer that sends more than the window allows",
      "a middlebox that merges segments or gets the window scale wrong",
    ],
    confirm: ["nstat -az TcpExtBeyondWindow", "ss -tmnp # the connection with a large Recv-Q"],
    change: [
      "make the program read faster, or raise the maximum in net.ipv4.tcp_rmem",
      "fix the peer or the middlebox that overruns the window",
    ],
  },
  TCP_INVALID_ACK_SEQUENCE: {
    class: "normal",
    means:
      "While connecting, the answer acknowledged something that was never sent. The kernel answers with a RST, and the SYN is sent again.",
    causes: [
      "the peer still holds an older connection from the same address and port",
      "a NAT or load balancer that reused a port too soon",
    ],
    confirm: ["nstat -az TcpOutRsts TcpExtTCPSynRetrans", "ss -tano state syn-sent"],
    change: [
      "nothing: it is normal",
      "if connects take a second: a wider net.ipv4.ip_local_port_range, or fewer short connections",
    ],
  },
  TCP_RESET: {
    class: "normal",
    means:
      "A RST was ignored: its sequence number isn't exactly the expected one (the kernel asks back with a challenge ACK), or it came for a listening socket, or without ACK while connecting.",
    causes: [
      "late RSTs of connections that are already gone",
      "forged RSTs: an attack, or a firewall that guesses",
    ],
    confirm: ["nstat -az TcpExtTCPChallengeACK TcpEstabResets"],
    change: ["nothing: it is normal"],
  },
  TCP_INVALID_SYN: {
    class: "normal",
    means:
      "A SYN came on a connection that already exists. The kernel asks back with a challenge ACK and keeps the connection.",
    causes: [
      "the client was restarted or lost its state, and uses the same port again",
      "a NAT that reused a port too soon",
      "forged SYNs",
    ],
    confirm: ["nstat -az TcpExtTCPSYNChallenge TcpExtTCPChallengeACK"],
    change: [
      "nothing: it is normal",
      "let the firewall pass RSTs, so that the old connection can end",
    ],
  },
  TCP_CLOSE: {
    class: "normal",
    means: "A segment came for a TCP socket that is already closed.",
    causes: ["the last segments of a connection that was just reset or closed"],
    confirm: ["nstat -az TcpEstabResets TcpOutRsts"],
    change: ["nothing: it is normal"],
  },
  TCP_FASTOPEN: {
    class: "normal",
    means:
      "A connection opened with TCP Fast Open is still in its handshake, and the segment doesn't fit it.",
    causes: [
      "a repeated SYN, because the SYN-ACK was lost",
      "old, late or forged segments",
    ],
    confirm: ["nstat -az 'TcpExtTCPFastOpen*'", "sysctl net.ipv4.tcp_fastopen"],
    change: ["nothing: it is normal"],
  },
  TCP_OLD_ACK: {
    class: "normal",
    means:
      "The ACK is older than what has been acknowledged, during the handshake (the kernel answers with a RST) or, on older kernels, while the connection closes.",
    causes: ["reordered or duplicated ACKs", "stray ACKs of an older connection on the same ports"],
    confirm: ["nstat -az TcpOutRsts TcpExtTCPChallengeACK"],
    change: ["nothing: it is normal"],
  },
  TCP_TOO_OLD_ACK: {
    class: "normal",
    means:
      "The ACK is so old that it can't belong to this connection; the kernel asks back with a challenge ACK.",
    causes: [
      "stray segments of an older connection on the same ports",
      "blind injection attempts",
    ],
    confirm: ["nstat -az TcpExtTCPChallengeACK TcpExtTCPACKSkippedChallenge"],
    change: ["nothing: it is normal"],
  },
  TCP_ACK_UNSENT_DATA: {
    class: "normal",
    means: "The segment acknowledges data that was never sent, so it isn't believed.",
    causes: [
      "stray segments of an older connection on the same ports",
      "blind injection attempts",
      "a middlebox that acknowledges or renumbers on its own: then transfers hang, and it is a fault",
    ],
    confirm: ["nstat -az TcpExtTCPChallengeACK", "ss -tinp"],
    change: ["nothing, if connections work", "fix the middlebox"],
  },
  TCP_OFO_QUEUE_PRUNE: {
    class: "fault",
    means:
      "Segments that had arrived out of order were thrown away again to free memory. The peer must send them once more.",
    causes: [
      "loss on the path, with a receive buffer too small to wait for the missing segment",
      "TCP's memory is short (net.ipv4.tcp_mem)",
      "tiny segments that use up the buffer with overhead",
    ],
    confirm: [
      "nstat -az TcpExtOfoPruned TcpExtPruneCalled TcpExtRcvPruned TcpExtTCPMemoryPressures",
      "ss -tmnp",
    ],
    change: [
      "raise the maximum in net.ipv4.tcp_rmem, and don't set SO_RCVBUF in the program",
      "find the loss: it comes first",
      "raise net.ipv4.tcp_mem, if /proc/net/sockstat shows that TCP is at it",
    ],
  },
  TCP_OFO_DROP: {
    class: "normal",
    means:
      "A segment waited in the out-of-order queue, and when the gap closed its data was there already.",
    causes: ["retransmissions that overlap after a loss"],
    confirm: ["nstat -az TcpExtTCPOFOQueue TcpExtTCPDSACKOldSent"],
    change: ["nothing: it is normal"],
  },
  IP_OUTNOROUTES: {
    class: "fault",
    means: "This machine wanted to send a packet and found no route to the destination.",
    causes: [
      "a route, an address or an interface went away under connections that still exist",
      "an unreachable route, or a missing default route (IPv6 above all)",
      "a tunnel such as VXLAN whose remote end has no route",
    ],
    confirm: [
      "nstat -az IpOutNoRoutes Ip6OutNoRoutes",
      "ip route get 192.0.2.1 # the destination",
      "ip rule list",
    ],
    change: ["add the route, or bring back the interface or the address"],
  },
  BPF_CGROUP_EGRESS: {
    class: "policy",
    means: "A BPF program attached to the sender's cgroup (egress) refused the packet.",
    causes: [
      "IPAddressDeny= of a systemd unit",
      "a container or security agent that enforces network policy in the cgroup",
    ],
    confirm: ["bpftool cgroup tree", "bpftool prog show"],
    change: [
      "nothing, if the policy means it",
      "allow the destination: IPAddressAllow= of the unit, or the agent's policy",
    ],
  },
  IPV6DISABLED: {
    class: "normal",
    means: "IPv6 is disabled on the device, and an IPv6 packet came in or should go out.",
    causes: [
      "disable_ipv6=1, while the neighbours talk IPv6 (router advertisements, multicast)",
      "a container network without IPv6 on a link that has it",
    ],
    confirm: ["sysctl -a -r disable_ipv6", "nstat -az Ip6InDiscards Ip6OutDiscards"],
    change: [
      "nothing: it is normal",
      "net.ipv6.conf.eth0.disable_ipv6=0, if IPv6 is wanted there",
    ],
  },
  NEIGH_CREATEFAIL: {
    class: "fault",
    means:
      "No neighbour entry (ARP or ND) could be made for the next hop, so nothing can be sent to it.",
    causes: [
      "the neighbour table is full: a large flat network, a scan, many containers",
      "no memory, or a device that is going away",
    ],
    confirm: [
      "dmesg | grep 'neighbor table overflow'",
      "lnstat -c 1 -f arp_cache -k entries,table_fulls,forced_gc_runs",
      "sysctl net.ipv4.neigh.default.gc_thresh3 net.ipv6.neigh.default.gc_thresh3",
    ],
    change: [
      "raise gc_thresh1, gc_thresh2 and gc_thresh3 in net.ipv4.neigh.default and net.ipv6.neigh.default",
      "make the network smaller: route to it instead of a large prefix on the link",
    ],
  },
  NEIGH_FAILED: {
    class: "fault",
    means:
      "The next hop didn't answer ARP, so the packets that waited for its address were thrown away and the sender was told that the host is unreachable. IPv6 has the same case without a reason: NOT_SPECIFIED at ndisc_error_report.",
    causes: [
      "the host or gateway is down, or has moved",
      "a wrong netmask or VLAN: the address isn't really on this link",
      "a scan through this router into addresses that nobody has",
    ],
    confirm: [
      "ip -s neigh show nud failed",
      "ip route get 192.0.2.1 # the destination: which next hop?",
      "lnstat -c 1 -f arp_cache -k lookups,res_failed",
    ],
    change: [
      "bring the next hop back, or fix the route, the netmask or the VLAN",
      "a blackhole route for unused addresses, if it is a scan",
    ],
  },
  NEIGH_QUEUEFULL: {
    class: "fault",
    means:
      "Too many packets waited for one next hop's ARP or ND answer; the oldest was thrown away to make room.",
    causes: [
      "a burst to a host that isn't resolved yet, or that is down",
      "a slow answer: Wi-Fi, a busy peer, proxy ARP",
      "unres_qlen_bytes is small for this traffic",
    ],
    confirm: [
      "ip -s neigh show nud incomplete",
      "lnstat -c 1 -f arp_cache -k unresolved_discards,res_failed",
      "lnstat -c 1 -f ndisc_cache -k unresolved_discards,res_failed",
    ],
    change: [
      "find out why the next hop answers slowly or not at all",
      "raise net.ipv4.neigh.eth0.unres_qlen_bytes or net.ipv6.neigh.eth0.unres_qlen_bytes",
    ],
  },
  NEIGH_DEAD: {
    class: "teardown",
    means: "The neighbour entry was being deleted while a packet wanted to use it.",
    causes: [
      "an interface goes down, or loses an address",
      "somebody flushes neighbours, or garbage collection removed the entry",
    ],
    confirm: ["ip -s -s neigh show", "ip monitor link neigh"],
    change: ["nothing: it is normal", "find what takes the interface up and down, if it goes on"],
  },
  NEIGH_HH_FILLFAIL: {
    class: "fault",
    means: "The device couldn't write its link-layer header for the packet.",
    causes: [
      "a driver or tunnel whose header function refuses the address or the protocol",
      "a packet without room for the header",
    ],
    confirm: ["ip -d link show dev eth0", "ip neigh show dev eth0", "dmesg | tail -n 50"],
    change: ["fix the address in the neighbour entry, or update the driver"],
  },
  TC_EGRESS: {
    class: "policy",
    means:
      "A tc filter or a BPF program at the device's egress hook (clsact, tcx) dropped the packet.",
    causes: [
      "network policy of a container network that works in BPF",
      "a tc rule with action drop, or with police",
      "a BPF program that drops what it can't parse or redirect",
    ],
    confirm: ["tc -s filter show dev eth0 egress", "bpftool net show"],
    change: ["nothing, if it is meant", "fix the filter, the police rate, or the agent's policy"],
  },
  SECURITY_HOOK: {
    class: "policy",
    means:
      "A security module (SELinux, Smack, BPF LSM) refused the packet for this socket, or the connection request.",
    causes: [
      "a policy for labelled networking (NetLabel, SECMARK) that doesn't allow the peer",
      "a BPF LSM program",
    ],
    confirm: [
      "cat /sys/kernel/security/lsm",
      "ausearch -m AVC -ts recent",
      "bpftool prog show",
    ],
    change: ["nothing, if it is meant", "allow it in the module's policy"],
  },
  QDISC_DROP: {
    class: "fault",
    means:
      "The device's queueing discipline threw the packet away and gave no finer reason. On newer kernels the tracepoint qdisc:qdisc_drop has it.",
    causes: [
      "the queue is full: the link or the shaper (tbf, htb) is slower than the traffic",
      "the interface has lost its carrier or is being taken down: packets meet the noop qdisc",
      "netem with loss, or a class or filter of the qdisc that drops on purpose",
    ],
    confirm: ["tc -s qdisc show", "tc -s class show dev eth0", "ip -s link show dev eth0"],
    change: [
      "raise the rate or the limit of the qdisc",
      "send less: pace, shape at the source, use fq with BBR",
      "bring the link back, if the carrier is lost",
    ],
  },
  QDISC_BURST_DROP: {
    class: "fault",
    means:
      "More packets than net.core.qdisc_max_burst waited to get into one qdisc, so this one was thrown away.",
    causes: [
      "many CPUs send through one qdisc at once, and its lock is the bottleneck",
      "a slow qdisc with many classes or filters",
    ],
    confirm: ["sysctl net.core.qdisc_max_burst", "tc -s qdisc show"],
    change: [
      "use mq with a qdisc for each queue instead of one root qdisc",
      "raise net.core.qdisc_max_burst",
    ],
  },
  QDISC_OVERLIMIT: {
    class: "fault",
    means: "The queueing discipline is at its limit of packets or bytes.",
    causes: [
      "the link or the shaper is slower than the traffic",
      "a limit that is too small for bursts",
      "flow control or a slow receiver holds the device's queue",
    ],
    confirm: ["tc -s qdisc show", "ip -s link show dev eth0"],
    change: [
      "raise the qdisc's limit, or txqueuelen for those that take it from there",
      "raise the shaper's rate, or send less",
      "use fq_codel or cake, so that one flow can't fill the queue",
    ],
  },
  QDISC_CONGESTED: {
    class: "normal",
    means:
      "The queueing discipline's queue management (CoDel, PIE, RED and the like) dropped the packet to tell the sender to slow down.",
    causes: [
      "the link or the shaper is the bottleneck, and the qdisc keeps its delay short",
      "flows without ECN, which can't be marked instead",
    ],
    confirm: ["tc -s qdisc show"],
    change: [
      "nothing: it is normal",
      "switch on ECN at the ends (net.ipv4.tcp_ecn=1) and in the qdisc",
      "more bandwidth, or a larger target, if throughput suffers",
    ],
  },
  CAKE_FLOOD: {
    class: "normal",
    means: "CAKE dropped a packet of a flow that doesn't slow down when told to (its BLUE part).",
    causes: [
      "a UDP flood, or a sender without congestion control",
      "more flows than the link can carry",
    ],
    confirm: ["tc -s qdisc show"],
    change: ["nothing: it is normal", "limit the flow at its source"],
  },
  FQ_BAND_LIMIT: {
    class: "fault",
    means: "A priority band of the fq qdisc already holds `limit` packets.",
    causes: [
      "more traffic than the device sends",
      "very many paced flows, each with packets waiting for their time",
    ],
    confirm: ["tc -s qdisc show"],
    change: [
      "raise it: tc qdisc change dev eth0 root fq limit 100000",
      "send less, or through more queues (mq with fq)",
    ],
  },
  FQ_HORIZON_LIMIT: {
    class: "fault",
    means:
      "The packet asks the fq qdisc to be sent later than its horizon (10 seconds unless set otherwise), and fq is set to drop such packets.",
    causes: [
      "a program that sets SO_TXTIME or a BPF program that sets the timestamp in another clock than fq's",
      "a very low pacing rate with a long queue",
      "a timestamp that was kept while the packet changed network namespace or clock",
    ],
    confirm: ["tc -s qdisc show"],
    change: [
      "fix the clock that the program uses",
      "a longer horizon, or horizon_cap instead of horizon_drop, in the fq qdisc",
    ],
  },
  FQ_FLOW_LIMIT: {
    class: "fault",
    means: "One flow already has flow_limit packets (100 unless set otherwise) in the fq qdisc.",
    causes: [
      "one fast UDP or QUIC sender without pacing",
      "many connections that share one flow: forwarded or tunnelled traffic",
      "a low SO_MAX_PACING_RATE with a program that sends more",
    ],
    confirm: ["tc -s qdisc show", "ss -tuinp"],
    change: [
      "raise it: tc qdisc change dev eth0 root fq flow_limit 1000",
      "pace in the program, or heed EAGAIN with a smaller SO_SNDBUF",
    ],
  },
  CPU_BACKLOG: {
    class: "fault",
    means:
      "The queue of received packets of one CPU is full, or the flow limit of RPS chose this flow. Loopback, most veth traffic and all that RPS steers goes through that queue.",
    causes: [
      "one CPU gets more than its softirq can do: a single flow, or RPS that steers to few CPUs",
      "local traffic (loopback, veth) faster than the receiver",
      "net.core.netdev_max_backlog is small for bursts",
      "the flow limit (net.core.flow_limit_cpu_bitmap) works against one large flow",
    ],
    confirm: [
      "cat /proc/net/softnet_stat # a line a CPU, hexadecimal: column 2 drops, 3 squeezes, 11 flow limit",
      "sysctl net.core.netdev_max_backlog net.core.netdev_budget",
      "grep -H . /sys/class/net/*/queues/rx-*/rps_cpus",
    ],
    change: [
      "raise net.core.netdev_max_backlog",
      "spread the load: more NIC queues, RPS on more CPUs",
      "take other work off that CPU",
    ],
  },
  MACVLAN_BROADCAST_BACKLOG: {
    class: "fault",
    means: "The queue of broadcasts and multicasts for macvlan devices is full.",
    causes: [
      "a broadcast storm or much multicast on the lower device, copied to many macvlans",
      "a queue that is too short (bcqueuelen, 1000 packets unless set otherwise)",
    ],
    confirm: ["ip -d -s link show type macvlan", "tcpdump -c 50 -en -i eth0 'ether multicast'"],
    change: [
      "find who sends the broadcasts",
      "raise it: ip link set dev macvlan0 type macvlan bcqueuelen 5000",
    ],
  },
  IPVLAN_MULTICAST_BACKLOG: {
    class: "fault",
    means:
      "The queue of broadcasts and multicasts for ipvlan devices is full (its length is fixed).",
    causes: ["a broadcast storm or much multicast on the lower device, copied to many ipvlans"],
    confirm: ["ip -d -s link show type ipvlan", "tcpdump -c 50 -en -i eth0 'ether multicast'"],
    change: ["find who sends them, or prune the multicast on the switch"],
  },
  XDP: {
    class: "fault",
    means:
      "An XDP program in generic mode asked for a redirect, and the redirect failed. A plain XDP_DROP doesn't get this reason: in generic mode it is NOT_SPECIFIED, in a driver it comes before there is a packet to trace.",
    causes: [
      "the map has no entry for the target: a device, CPU or AF_XDP socket that is gone",
      "the target device is down, has a smaller MTU, or can't send",
      "the target's queue or ring is full",
    ],
    confirm: [
      "bpftool net show",
      "perf stat -a -e 'xdp:*' sleep 10",
      "bpftool map show",
    ],
    change: [
      "fix the program's map of targets, and its fallback action",
      "bring the target device up, with an MTU that fits",
    ],
  },
  TC_INGRESS: {
    class: "policy",
    means:
      "A tc filter or a BPF program at the device's ingress hook (clsact, tcx) dropped the packet.",
    causes: [
      "network policy of a container network that works in BPF",
      "a tc rule with action drop, or with police",
      "a BPF program that drops what it can't parse or redirect",
    ],
    confirm: ["tc -s filter show dev eth0 ingress", "bpftool net show"],
    change: ["nothing, if it is meant", "fix the filter, the police rate, or the agent's policy"],
  },
  UNHANDLED_PROTO: {
    class: "normal",
    means:
      "Nothing on this machine handles the packet's protocol: its Ethernet type, an ICMP type, or an IPv6 option or version.",
    causes: [
      "link chatter: LLDP, spanning tree, Cisco and vendor protocols, IEEE 1905, Wi-Fi helpers",
      "VLAN-tagged, MPLS, PPPoE or IPv6 frames without the device or module for them",
    ],
    confirm: [
      "tcpdump -c 20 -en -i eth0 'not (ip or ip6 or arp)'",
      "cat /proc/net/ptype",
      "ip -s -s link show dev eth0",
    ],
    change: [
      "nothing: it is normal",
      "load the module or make the VLAN device, if the protocol is wanted",
    ],
  },
  PTYPE_ABSENT: {
    class: "normal",
    means: "Linux 5.18's name for UNHANDLED_PROTO: nothing handles the frame's Ethernet type.",
    causes: [
      "link chatter: LLDP, spanning tree, Cisco and vendor protocols",
      "VLAN-tagged, MPLS, PPPoE or IPv6 frames without the device or module for them",
    ],
    confirm: ["tcpdump -c 20 -en -i eth0 'not (ip or ip6 or arp)'", "cat /proc/net/ptype"],
    change: ["nothing: it is normal"],
  },
  SKB_CSUM: {
    class: "fault",
    means:
      "A checksum is wrong in a packet for a raw IPv6 socket, or couldn't be computed for a macvtap or ipvtap device.",
    causes: [
      "a raw IPv6 socket (IPV6_CHECKSUM or a filter) gets a damaged packet",
      "a checksum offload request from a guest or a driver that points outside the packet",
    ],
    confirm: ["ss -wamp", "ethtool -S eth0", "ethtool -k eth0"],
    change: [
      "fix or replace the sender or the link",
      "update the driver, the guest's driver or the hypervisor",
    ],
  },
  SKB_GSO_SEG: {
    class: "fault",
    means: "A large packet couldn't be cut into segments for a macvtap or ipvtap device.",
    causes: [
      "malformed segmentation data from a guest or a driver",
      "no memory",
    ],
    confirm: ["ethtool -k eth0", "dmesg | tail -n 50"],
    change: [
      "update the driver or the hypervisor",
      "switch it off to test: ethtool -K eth0 gro off tso off gso off",
    ],
  },
  SKB_BAD_GSO: {
    class: "fault",
    means:
      "A packet to be sent claims to be segmented later, and its headers don't fit that claim.",
    causes: [
      "a guest or a program that passes bad virtio-net headers (tap, AF_PACKET), by mistake or on purpose",
    ],
    confirm: ["ip -s -d link show dev eth0", "ss -0mp"],
    change: ["fix or update the guest's driver or the program; treat an unknown one as hostile"],
  },
  SKB_UCOPY_FAULT: {
    class: "fault",
    means:
      "Data couldn't be copied between a program's memory and the packet on a tun, tap or macvtap device.",
    causes: [
      "a hypervisor or VPN program that passes a bad address",
      "no memory to copy a zero-copy packet from vhost-net",
    ],
    confirm: ["ip tuntap show", "ip -s link show dev eth0", "cat /proc/pressure/memory"],
    change: ["update the hypervisor or the VPN program", "free memory"],
  },
  DEV_HDR: {
    class: "fault",
    means: "A macvtap or ipvtap device got a virtio-net header that doesn't fit its packet.",
    causes: ["a guest driver or a hypervisor with a defect in its offload headers"],
    confirm: ["ip -s -d link show type macvtap", "ip -s -d link show type ipvtap"],
    change: ["update the guest's driver or the hypervisor, or switch its offloads off"],
  },
  DEV_READY: {
    class: "teardown",
    means: "The device isn't up, or has nobody at its other end, so it can't send or receive.",
    causes: [
      "an interface is being taken down or removed: a container or VM stops",
      "a tun or tap device without a program or VM attached",
      "something keeps sending to a device that is down: then it goes on, and it is a fault",
    ],
    confirm: ["ip -d link show", "ip tuntap show", "ip route show table all"],
    change: [
      "nothing, if it ends by itself",
      "bring the device up, start its VM or VPN, or remove the route or bridge port that leads to it",
    ],
  },
  FULL_RING: {
    class: "fault",
    means:
      "The ring between the kernel and the program behind a tun, tap or macvtap device is full.",
    causes: [
      "the VM, the vhost thread or the VPN program reads too slowly or is short of CPU",
      "bursts larger than the ring, which has txqueuelen places",
    ],
    confirm: [
      "ip -s link show dev eth0 # TX dropped of the tap device, and qlen",
      "ps -eLo pid,tid,psr,pcpu,comm --sort=-pcpu | head -n 20 # vhost or the VPN program",
    ],
    change: [
      "give the VM or the program more CPU, or more queues (multi_queue)",
      "ip link set dev eth0 txqueuelen 10000",
    ],
  },
  NOMEM: {
    class: "fault",
    means: "The kernel got no memory for the packet, a copy of it or its headers.",
    causes: [
      "the machine is short of free pages in interrupt context",
      "memory is fragmented, and the packet needs several pages together (jumbo frames)",
    ],
    confirm: [
      "dmesg | grep -i 'page allocation failure'",
      "cat /proc/pressure/memory /proc/buddyinfo",
      "nstat -az IpInDiscards IpOutDiscards Ip6InDiscards Ip6OutDiscards",
    ],
    change: [
      "raise vm.min_free_kbytes",
      "more memory, or less load; smaller MTU where pages can't be found together",
    ],
  },
  HDR_TRUNC: {
    class: "fault",
    means:
      "A frame that a program wrote to a tap device is too short or can't be read as far as its Ethernet header.",
    causes: [
      "a hypervisor or VPN program that writes bad frames",
      "no memory to gather the header",
    ],
    confirm: ["ip tuntap show", "ip -s -s link show dev eth0"],
    change: ["update the hypervisor or the VPN program"],
  },
  TAP_FILTER: {
    class: "policy",
    means: "A BPF program on the tun or tap device (TUNSETFILTEREBPF) dropped the packet.",
    causes: ["the hypervisor filters what its guest should get"],
    confirm: ["bpftool prog show", "ip -s link show dev eth0"],
    change: ["nothing, if it is meant", "fix the filter in the hypervisor's configuration"],
  },
  TAP_TXFILTER: {
    class: "policy",
    means:
      "The MAC address filter of a tap device (TUNSETTXFILTER) doesn't have the frame's destination.",
    causes: [
      "frames flooded by the bridge that aren't for this guest",
      "a guest with a MAC address or multicast group that the hypervisor doesn't know of",
    ],
    confirm: ["ip -s link show dev eth0", "bridge fdb show dev eth0", "tcpdump -c 20 -en -i eth0"],
    change: ["nothing, if it is meant", "let the hypervisor know the guest's addresses"],
  },
  ICMP_CSUM: {
    class: "fault",
    means: "The ICMP or ICMPv6 checksum is wrong.",
    causes: [
      "a NIC, a link or a middlebox that damages packets",
      "a NAT or a program that edits ICMP and doesn't fix the checksum",
    ],
    confirm: ["nstat -az IcmpInCsumErrors Icmp6InCsumErrors", "ethtool -S eth0"],
    change: ["fix or replace what edits or damages them"],
  },
  INVALID_PROTO: {
    class: "normal",
    means:
      "The packet breaks a rule of its protocol: mostly an ICMP echo to a broadcast or multicast address, which icmp_echo_ignore_broadcasts says to ignore.",
    causes: [
      "somebody pings the broadcast address, or a monitoring tool does",
      "ARP for a broadcast address",
    ],
    confirm: [
      "nstat -az IcmpInErrors",
      "sysctl net.ipv4.icmp_echo_ignore_broadcasts",
      "tcpdump -c 20 -en -i eth0 'icmp and ether multicast'",
    ],
    change: ["nothing: it is normal"],
  },
  IP_INADDRERRORS: {
    class: "fault",
    means:
      "The frame was for this machine and the IP address in it isn't, and this machine doesn't forward. IPv6 also: a source or destination that may not be used there.",
    causes: [
      "an address that has left this machine (a virtual IP, a failover) while neighbours still send here",
      "a machine that should route, with forwarding off",
      "a neighbour with a wrong route or a stale ARP entry",
    ],
    confirm: [
      "nstat -az IpInAddrErrors Ip6InAddrErrors",
      "ip -br address show",
      "sysctl -a -r 'conf[.].*[.]forwarding$'",
    ],
    change: [
      "give the address back to this machine, or send a gratuitous ARP from its new place",
      "net.ipv4.ip_forward=1, if it should route",
    ],
  },
  IP_INNOROUTES: {
    class: "fault",
    means: "A packet came to be forwarded, and there is no route to its destination.",
    causes: [
      "a route is missing here, or was withdrawn",
      "a neighbour uses this machine as a gateway for what it doesn't know",
      "scans into unused addresses",
    ],
    confirm: [
      "nstat -az IpExtInNoRoutes Ip6InNoRoutes",
      "ip route get 192.0.2.1 # the destination",
      "ip rule list",
    ],
    change: ["add the route, or fix the neighbour's", "a blackhole route for unused addresses"],
  },
  IP_LOCAL_SOURCE: {
    class: "fault",
    means: "A packet came from outside with one of this machine's own addresses as its source.",
    causes: [
      "another machine has the same address",
      "our own packets come back: a loop of bridges, tunnels or mirror ports",
      "forged packets",
    ],
    confirm: [
      "arping -D -c 3 -I eth0 192.0.2.1 # does somebody else answer for our address?",
      "lnstat -c 1 -f rt_cache -k in_martian_src",
      "tcpdump -Q in -c 20 -en -i eth0 'src host 192.0.2.1' # whose MAC is it?",
    ],
    change: [
      "remove the second address, or the loop",
      "net.ipv4.conf.eth0.accept_local=1, if packets between own interfaces over the wire are meant",
    ],
  },
  IP_INVALID_SOURCE: {
    class: "normal",
    means:
      "The source address can't be one: a multicast or broadcast address, or 0.0.0.0 where that isn't allowed.",
    causes: [
      "a broken or half configured device on the link",
      "a source that is the broadcast address of a local network: a wrong netmask at either end",
      "forged packets",
    ],
    confirm: [
      "lnstat -c 1 -f rt_cache -k in_martian_src",
      "tcpdump -c 20 -en -i eth0 'src net 0.0.0.0/8 or src net 224.0.0.0/3' # whose MAC is it?",
    ],
    change: ["fix the device that sends them", "net.ipv4.conf.all.log_martians=1 logs who it is"],
  },
  IP_LOCALNET: {
    class: "policy",
    means:
      "A packet from outside has an address in 127.0.0.0/8, and route_localnet is off on the interface.",
    causes: [
      "NAT of a port to 127.0.0.1 (containers, transparent proxies) without route_localnet",
      "a broken NAT elsewhere, or forged packets",
    ],
    confirm: [
      "sysctl -a -r route_localnet",
      "lnstat -c 1 -f rt_cache -k in_martian_src,in_martian_dst",
      "nft list ruleset",
    ],
    change: [
      "send the NAT to an address of the interface instead of 127.0.0.1",
      "net.ipv4.conf.eth0.route_localnet=1, with a firewall in front of local services",
    ],
  },
  IP_INVALID_DEST: {
    class: "normal",
    means:
      "The destination can't be one: an address in 0.0.0.0/8, or one whose route isn't to a host.",
    causes: ["a broken or half configured device on the link", "forged packets"],
    confirm: [
      "lnstat -c 1 -f rt_cache -k in_martian_dst",
      "ip route get 192.0.2.1 # the destination",
      "tcpdump -c 20 -en -i eth0 'dst net 0.0.0.0/8' # whose MAC is it?",
    ],
    change: ["fix the device that sends them", "net.ipv4.conf.all.log_martians=1 logs who it is"],
  },
  PKT_TOO_BIG: {
    class: "fault",
    means:
      "The packet is larger than the next link's MTU and may not be fragmented. The sender is told by ICMP, or by an error on its socket.",
    causes: [
      "path MTU discovery at work: a few at the start of a connection are normal",
      "ICMP `fragmentation needed` or `packet too big` is filtered, so the sender never learns: it goes on",
      "a tunnel, VPN or container network whose MTU is larger than what is left after its headers",
    ],
    confirm: [
      "nstat -az IpFragFails Ip6FragFails Ip6InTooBigErrors",
      "tracepath -n 192.0.2.1",
      "ip link show",
    ],
    change: [
      "set the same, right MTU along the path",
      "clamp TCP's MSS where tunnels begin: tcp option maxseg size set rt mtu in nftables",
      "let ICMP type 3 code 4 and ICMPv6 type 2 through",
    ],
  },
  DUP_FRAG: {
    class: "normal",
    means: "The IP fragment was already there, or its datagram is already complete.",
    causes: [
      "the network duplicates packets: a mirror port, two paths, a bonding or bridge fault",
      "retransmissions with the same id",
    ],
    confirm: ["nstat -az IpReasmReqds IpReasmOKs IpReasmFails Ip6ReasmReqds Ip6ReasmFails"],
    change: ["nothing: it is normal", "if it is steady, find what duplicates the packets"],
  },
  FRAG_REASM_TIMEOUT: {
    class: "fault",
    means:
      "Some fragments of a datagram came and others didn't in time, so those that had come were thrown away. Connection tracking and IPsec's IP-TFS reassemble too.",
    causes: [
      "one fragment was lost on the way: loss, or a firewall that drops fragments",
      "large UDP datagrams (DNS, NFS, SIP, RADIUS, tunnels) over a lossy or overloaded link",
      "a flood of forged fragments",
    ],
    confirm: [
      "nstat -az IpReasmTimeout IpReasmFails Ip6ReasmTimeout Ip6ReasmFails",
      "cat /proc/net/sockstat /proc/net/sockstat6 # FRAG",
      "tcpdump -c 40 -nv -i eth0 'ip[6:2] & 0x3fff != 0'",
    ],
    change: [
      "find the loss, or avoid fragments: smaller datagrams, a larger or right MTU",
      "net.ipv4.ipfrag_time and net.ipv4.ipfrag_high_thresh, if fragments are many and slow",
    ],
  },
  FRAG_TOO_FAR: {
    class: "fault",
    means:
      "Too many other fragments came from the same sender between two of one datagram (net.ipv4.ipfrag_max_dist), so its collected part was thrown away rather than risk mixing two datagrams.",
    causes: [
      "fragments that are reordered heavily, over several paths",
      "a fast sender of fragmented UDP that loses some of it",
    ],
    confirm: ["nstat -az IpReasmFails", "sysctl net.ipv4.ipfrag_max_dist"],
    change: [
      "avoid fragments: smaller datagrams, a right MTU",
      "raise net.ipv4.ipfrag_max_dist (0 switches the check off)",
    ],
  },
  TCP_MINTTL: {
    class: "policy",
    means:
      "The packet's TTL or hop limit is below what the program asked for with IP_MINTTL or IPV6_MINHOPCOUNT.",
    causes: [
      "BGP with TTL security: the peer isn't as near as configured, or doesn't send with 255",
      "strangers who connect to the port from afar: what the check is for",
    ],
    confirm: [
      "nstat -az TcpExtTCPMinTTLDrop",
      "tcpdump -c 20 -nv -i eth0 'tcp and host 192.0.2.1' # ttl",
    ],
    change: ["nothing, if they are strangers", "configure the right number of hops at both ends"],
  },
  IPV6_BAD_EXTHDR: {
    class: "fault",
    means:
      "An ICMPv6 error quotes a packet whose extension headers can't be read, so the error was ignored.",
    causes: ["a router that quotes too little or damages the packet", "crafted packets"],
    confirm: ["nstat -az Icmp6InErrors", "tcpdump -c 20 -nv -i eth0 icmp6"],
    change: ["fix the router that sends them"],
  },
  IPV6_TOO_MANY_EXTHDRS: {
    class: "normal",
    means: "An IPv6 packet has more extension headers than the kernel accepts.",
    causes: ["crafted packets: no real program sends so many"],
    confirm: [
      "nstat -az Ip6InDiscards",
      "tcpdump -c 20 -nv -i eth0 'ip6 and not (tcp or udp or icmp6)'",
    ],
    change: ["nothing: the packets are meant to be refused", "filter the sender"],
  },
  IPV6_NDISC_FRAG: {
    class: "policy",
    means:
      "A neighbour discovery packet came in fragments, and suppress_frag_ndisc (on by default, RFC 6980) refuses those.",
    causes: [
      "somebody on the link tries to get past a router advertisement filter",
      "a router with very many options",
    ],
    confirm: [
      "sysctl -a -r suppress_frag_ndisc",
      "dmesg | grep 'fragmented ndisc'",
      "tcpdump -c 20 -env -i eth0 'ip6[6] == 44'",
    ],
    change: ["find the sender by its MAC", "suppress_frag_ndisc=0 only if it is legitimate"],
  },
  IPV6_NDISC_HOP_LIMIT: {
    class: "fault",
    means:
      "A neighbour discovery packet has a hop limit other than 255, so it may come from beyond the link and isn't believed.",
    causes: ["a device or program that builds them wrongly", "an attack from outside the link"],
    confirm: [
      "tcpdump -c 20 -env -i eth0 'icmp6 and ip6[7] != 255 and ip6[40] >= 133 and ip6[40] <= 137'",
    ],
    change: ["find the sender by its MAC, and fix or filter it"],
  },
  IPV6_NDISC_BAD_CODE: {
    class: "fault",
    means: "A neighbour discovery packet has an ICMPv6 code other than 0, so it was ignored.",
    causes: ["a device or program that builds them wrongly", "crafted packets"],
    confirm: [
      "tcpdump -c 20 -env -i eth0 'icmp6 and ip6[41] != 0 and ip6[40] >= 133 and ip6[40] <= 137'",
    ],
    change: ["find the sender by its MAC, and fix or filter it"],
  },
  IPV6_NDISC_BAD_OPTIONS: {
    class: "fault",
    means: "The options of a neighbour discovery packet can't be read, so it was ignored.",
    causes: [
      "a router whose advertisements have an option of length 0 or a cut one",
      "crafted packets",
    ],
    confirm: ["tcpdump -c 20 -env -i eth0 'icmp6 and ip6[40] >= 133 and ip6[40] <= 137'"],
    change: ["find the sender by its MAC, and fix or filter it"],
  },
  IPV6_NDISC_NS_OTHERHOST: {
    class: "normal",
    means: "A neighbour solicitation asked for an address that this machine doesn't have.",
    causes: [
      "addresses that share this machine's solicited-node multicast group",
      "an interface in promiscuous mode, or a switch that floods multicast",
      "neighbours that still look for an address which has left this machine",
    ],
    confirm: ["ip -6 address show", "tcpdump -c 20 -en -i eth0 'icmp6 and ip6[40] == 135'"],
    change: ["nothing: it is normal"],
  },
  QUEUE_PURGE: {
    class: "teardown",
    means: "A whole queue was emptied at once, because its owner goes away or starts over.",
    causes: [
      "a socket was closed with data still queued",
      "a qdisc was replaced or reset, a device was taken down",
      "a neighbour entry was removed with packets that waited for it",
    ],
    confirm: ["ip monitor link neigh", "tc monitor"],
    change: ["nothing: it is normal"],
  },
  TC_COOKIE_ERROR: {
    class: "fault",
    means:
      "The NIC began a packet's tc rules in hardware and handed it over to go on in software, and the rule where it stopped isn't there any more.",
    causes: [
      "rules were changed while packets were on their way: a few are normal",
      "a driver with a defect in its tc offload",
    ],
    confirm: ["tc -s filter show dev eth0 ingress", "ethtool -k eth0 | grep hw-tc-offload"],
    change: [
      "update the driver or firmware",
      "switch it off to test: ethtool -K eth0 hw-tc-offload off",
    ],
  },
  TC_ERROR: {
    class: "fault",
    means:
      "An error inside tc: a lost cookie, a missing chain or a reclassify loop. Newer kernels have a reason for each.",
    causes: [
      "a rule that jumps to a chain which doesn't exist",
      "rules were changed while packets were on their way",
    ],
    confirm: [
      "tc -s filter show dev eth0 ingress",
      "tc chain show dev eth0 ingress",
      "dmesg | grep 'reclassify loop'",
    ],
    change: ["fix the rules"],
  },
  PACKET_SOCK_ERROR: {
    class: "fault",
    means:
      "A packet socket (a capture) wanted the packet and couldn't take it, mostly because its ring or buffer is full. Usually it is only the capture's copy that is lost.",
    causes: [
      "a capture that can't keep up: tcpdump to a slow disk, an IDS, a DHCP or LLDP daemon that hangs",
      "a ring or SO_RCVBUF that is too small",
    ],
    confirm: ["ss -0mp # d in skmem grows", "cat /proc/net/packet"],
    change: [
      "capture less: a tighter filter, a shorter snap length",
      "a larger ring (tcpdump -B), or more threads with PACKET_FANOUT",
    ],
  },
  TC_CHAIN_NOTFOUND: {
    class: "fault",
    means: "A tc rule or the NIC sends the packet to a chain that doesn't exist.",
    causes: [
      "goto chain to a chain without filters, or one that was deleted",
      "hardware and software rules are out of step",
    ],
    confirm: ["tc chain show dev eth0 ingress", "tc -s filter show dev eth0 ingress"],
    change: ["add the chain, or fix the goto", "reload the rules in one go"],
  },
  TC_RECLASSIFY_LOOP: {
    class: "fault",
    means: "The tc rules sent the packet round and round, and the kernel gave up.",
    causes: ["goto chain or reclassify actions that form a circle"],
    confirm: ["dmesg | grep 'reclassify loop'", "tc -s filter show dev eth0 ingress"],
    change: ["break the circle in the rules"],
  },
  VXLAN_INVALID_HDR: {
    class: "fault",
    means: "The VXLAN header has no VNI flag, or sets bits that the device isn't configured for.",
    causes: [
      "the two ends differ in gbp, gpe or remcsum options",
      "something that isn't VXLAN sends to the port (4789, or 8472)",
    ],
    confirm: [
      "ip -d -s link show type vxlan",
      "tcpdump -c 20 -nv -i eth0 'udp port 4789 or udp port 8472'",
    ],
    change: ["configure both ends alike", "let no one else send to the port"],
  },
  VXLAN_VNI_NOT_FOUND: {
    class: "fault",
    means: "No VXLAN device on this machine has the packet's VNI.",
    causes: [
      "the peer still has this machine in its forwarding table for a network that has left it",
      "different VNIs at the two ends, or the device isn't made yet or is down",
      "several VNIs that share one multicast group",
    ],
    confirm: [
      "ip -d link show type vxlan",
      "bridge vni show",
      "tcpdump -c 20 -nv -i eth0 'udp port 4789 or udp port 8472'",
    ],
    change: [
      "remove the stale entry at the peer (bridge fdb), or make the device here",
      "one multicast group for each VNI",
    ],
  },
  MAC_INVALID_SOURCE: {
    class: "fault",
    means:
      "The frame's source MAC is zero or a multicast address, so the bridge or VXLAN refused it.",
    causes: ["a broken device, driver or program that builds frames", "crafted frames"],
    confirm: [
      "tcpdump -c 20 -en -i eth0 'ether[6] & 1 = 1 or (ether[6:4] = 0 and ether[10:2] = 0)'",
    ],
    change: ["find the port it comes from, and fix or filter the sender"],
  },
  VXLAN_ENTRY_EXISTS: {
    class: "fault",
    means:
      "A known MAC came from another VXLAN peer, and its entry may not be moved because it is static or points to a nexthop.",
    causes: [
      "a VM or container moved, and its static entry wasn't updated",
      "two machines with the same MAC, or a loop",
    ],
    confirm: ["bridge fdb show", "ip nexthop show", "ip -d link show type vxlan"],
    change: [
      "let the control plane update the entry, or switch learning off (nolearning) where it sets them all",
      "remove the duplicate MAC",
    ],
  },
  NO_TX_TARGET: {
    class: "normal",
    means:
      "There is no port or tunnel end to send the frame to: a bridge that floods found no other port, or VXLAN has no entry for the MAC and no default.",
    causes: [
      "a broadcast, or an unknown destination, on a bridge with one port or with flooding off",
      "VXLAN without a remote, group or entry for this MAC: steady, and then it is a fault",
    ],
    confirm: ["bridge -d link show", "bridge fdb show", "ip -d link show type vxlan"],
    change: [
      "nothing, for a bridge",
      "for VXLAN, add the remote: bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.1",
    ],
  },
  VXLAN_NO_REMOTE: {
    class: "fault",
    means:
      "VXLAN has no entry for the destination MAC and no default remote. Newer kernels call it NO_TX_TARGET.",
    causes: [
      "no remote, group or all-zero entry was configured",
      "the control plane hasn't told this machine of the MAC yet",
    ],
    confirm: ["bridge fdb show", "ip -d link show type vxlan"],
    change: ["add the remote: bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.1"],
  },
  IP_TUNNEL_ECN: {
    class: "fault",
    means:
      "The outer header of a tunnelled packet says congestion experienced, and the inner packet isn't ECN-capable, so RFC 6040 says to drop it.",
    causes: [
      "a router or qdisc on the way marks instead of dropping, and the tunnel's start copied no ECN bits right",
      "a middlebox that writes the old TOS byte and so sets ECN bits",
    ],
    confirm: [
      "dmesg | grep 'non-ECT'",
      "ip -s -s link show type vxlan",
      "tcpdump -c 20 -nv -i eth0 'ip[1] & 3 = 3'",
    ],
    change: ["fix the ECN handling at the tunnel's start, or the device that writes the TOS byte"],
  },
  TUNNEL_TXINFO: {
    class: "normal",
    means:
      "A packet was sent straight into a tunnel device in external (collect metadata) mode, and nothing told it where the tunnel ends.",
    causes: [
      "the kernel's own chatter on that device: IPv6 router solicitations, multicast reports",
      "a route or a bridge that leads into the device without a tunnel_key action, a lightweight tunnel or an OVS or BPF program",
    ],
    confirm: [
      "ip -d link show type vxlan # external",
      "tc -s filter show dev eth0 egress",
      "ip route show table all",
    ],
    change: [
      "nothing, for chatter; disable IPv6 on the device to end it",
      "set the tunnel's metadata: tc tunnel_key, or ip route with encap ip",
    ],
  },
  LOCAL_MAC: {
    class: "normal",
    means: "A VXLAN packet carries this VXLAN device's own MAC as its source, so it was ignored.",
    causes: [
      "our own multicast comes back from the underlay",
      "a loop between tunnels, or a copied MAC address: steady, and then it is a fault",
    ],
    confirm: ["ip -d link show type vxlan", "bridge fdb show"],
    change: [
      "nothing, for multicast echo",
      "remove the loop, or give each device a MAC of its own",
    ],
  },
  ARP_PVLAN_DISABLE: {
    class: "normal",
    means:
      "An ARP request asked for an address that lies behind the interface it came from, and proxy_arp_pvlan is off.",
    causes: [
      "hosts on one link ask for each other, and this machine forwards or does proxy ARP there: no answer is needed",
    ],
    confirm: ["sysctl -a -r 'proxy_arp'", "ip route get 192.0.2.1"],
    change: [
      "nothing: it is normal",
      "net.ipv4.conf.eth0.proxy_arp_pvlan=1 on a private VLAN, where hosts can't hear each other",
    ],
  },
  MAC_IEEE_MAC_CONTROL: {
    class: "normal",
    means:
      "The bridge dropped an Ethernet control frame (01:80:c2:00:00:01, pause), which must not be forwarded.",
    causes: ["flow control frames that a NIC or a switch passes on instead of handling them"],
    confirm: ["ethtool -a eth0", "tcpdump -c 20 -en -i eth0 'ether dst 01:80:c2:00:00:01'"],
    change: ["nothing: it is normal", "find the station that pauses the link, if there are many"],
  },
  BRIDGE_INGRESS_STP_STATE: {
    class: "normal",
    means: "The bridge port isn't forwarding: it is disabled, blocking, listening or learning.",
    causes: [
      "with spanning tree, a port that has just come up and waits for the forward delay",
      "spanning tree blocks a redundant link",
      "a port without carrier, or disabled by a program",
    ],
    confirm: ["bridge -d link show", "ip -d link show type bridge"],
    change: [
      "nothing: it is normal",
      "on a bridge that can have no loop, switch spanning tree off: ip link set dev br0 type bridge stp_state 0",
    ],
  },
  CAN_RX_INVALID_FRAME: {
    class: "fault",
    means: "What came as a CAN frame isn't one, or its device isn't a CAN device.",
    causes: ["a program that writes raw frames to the device", "a driver with a defect"],
    confirm: ["ip -d -s link show type can", "dmesg | grep PF_CAN"],
    change: ["fix the program or the driver"],
  },
  CANFD_RX_INVALID_FRAME: {
    class: "fault",
    means: "What came as a CAN FD frame isn't one, or its device isn't a CAN device.",
    causes: ["a program that writes raw frames to the device", "a driver with a defect"],
    confirm: ["ip -d -s link show type can", "dmesg | grep PF_CAN"],
    change: ["fix the program or the driver"],
  },
  CANXL_RX_INVALID_FRAME: {
    class: "fault",
    means: "What came as a CAN XL frame isn't one, or its device isn't a CAN device.",
    causes: ["a program that writes raw frames to the device", "a driver with a defect"],
    confirm: ["ip -d -s link show type can", "dmesg | grep PF_CAN"],
    change: ["fix the program or the driver"],
  },
  PFMEMALLOC: {
    class: "fault",
    means:
      "The packet was received into memory from the emergency reserves, which only sockets that help to free memory (swap over the network) may use.",
    causes: ["the machine is nearly out of free pages, so the driver had to use the reserves"],
    confirm: [
      "nstat -az TcpExtPFMemallocDrop",
      "cat /proc/pressure/memory",
      "dmesg | grep -i 'page allocation failure'",
    ],
    change: ["free memory, or raise vm.min_free_kbytes"],
  },
  DUALPI2_STEP_DROP: {
    class: "normal",
    means:
      "The dualpi2 qdisc dropped a packet that can't be marked with ECN, because the low-latency queue is above its step threshold.",
    causes: [
      "traffic without ECN that was classified into the L4S queue",
      "the link is the bottleneck",
    ],
    confirm: ["tc -s qdisc show", "tc -s filter show dev eth0"],
    change: ["nothing: it is normal", "don't classify traffic without ECN into the L4S queue"],
  },
  PSP_INPUT: {
    class: "fault",
    means:
      "A TCP segment isn't encrypted as its connection requires with PSP: plain where it must be encrypted, encrypted where no key is set, or with another key.",
    causes: [
      "one end has switched to PSP and the other hasn't",
      "the device's keys were rotated, and the peer uses an old one",
      "forged plain segments",
    ],
    confirm: ["ss -tinp", "ip -s link show dev eth0"],
    change: [
      "set up the connection's PSP keys anew at both ends, in the program that manages them",
    ],
  },
  PSP_OUTPUT: {
    class: "fault",
    means:
      "A segment of a PSP connection was about to leave through a device that can't encrypt it with that connection's key, so it wasn't sent.",
    causes: [
      "the route now leads through another device: failover, bonding, a tunnel",
      "the device was reset and has lost its keys",
    ],
    confirm: ["ip route get 192.0.2.1 # the destination: is it the PSP device?", "ss -tinp"],
    change: ["route it through the PSP device, or open the connection anew"],
  },
  RECURSION_LIMIT: {
    class: "fault",
    means:
      "Virtual devices sent the packet to each other too many times, or such a device was asked to send while it couldn't queue.",
    causes: [
      "a tunnel whose own packets are routed back into it",
      "a circle of bonds, bridges, tunnels or mirred actions",
    ],
    confirm: [
      "dmesg | grep 'virtual device'",
      "ip route get 192.0.2.1 # the tunnel's remote end: does it go through the tunnel?",
      "ip -d link show",
    ],
    change: ["give the tunnel's remote end a route outside the tunnel", "break the circle"],
  },

  OVS_DROP_LAST_ACTION: {
    class: "policy",
    means: "Open vSwitch came to the end of a flow's actions and none had sent the packet on.",
    causes: [
      "a flow with no actions, which means drop",
      "a sample action as the last one that didn't choose the packet",
    ],
    confirm: ["ovs-appctl dpctl/dump-flows -m", "ovs-ofctl dump-flows br0"],
    change: ["nothing, if it is meant", "fix the OpenFlow rules"],
  },
  OVS_DROP_ACTION_ERROR: {
    class: "fault",
    means: "An action of an Open vSwitch flow failed on the packet.",
    causes: [
      "a packet that doesn't fit the action: too short, wrong protocol for a set or pop",
      "no memory",
    ],
    confirm: ["ovs-appctl dpctl/dump-flows -m", "dmesg | grep -i openvswitch"],
    change: ["fix the rule that applies the action", "update Open vSwitch and the kernel together"],
  },
  OVS_DROP_EXPLICIT: {
    class: "policy",
    means: "An Open vSwitch flow has a drop action.",
    causes: ["an OpenFlow or OVN rule says drop: an access list, a table without a match"],
    confirm: ["ovs-appctl dpctl/dump-flows -m", "ovs-ofctl dump-flows br0"],
    change: ["nothing, if it is meant", "fix the rule"],
  },
  OVS_DROP_EXPLICIT_WITH_ERROR: {
    class: "fault",
    means:
      "An Open vSwitch flow drops because ovs-vswitchd couldn't translate the OpenFlow rules for this packet.",
    causes: [
      "rules that resubmit too deep or in a circle",
      "a tunnel, group or mirror that isn't configured fully",
    ],
    confirm: [
      "ovs-appctl coverage/show",
      "ovs-appctl dpctl/dump-flows -m",
      "ovs-appctl ofproto/trace br0 in_port=1,ip,nw_dst=192.0.2.1",
    ],
    change: ["trace the packet through the rules, and fix the one where the translation ends"],
  },
  OVS_DROP_METER: {
    class: "policy",
    means: "An Open vSwitch meter was over its rate.",
    causes: ["more traffic than the meter allows"],
    confirm: ["ovs-ofctl -O OpenFlow13 meter-stats br0", "ovs-ofctl -O OpenFlow13 dump-meters br0"],
    change: ["nothing, if it is meant", "raise the meter's rate or burst"],
  },
  OVS_DROP_RECURSION_LIMIT: {
    class: "fault",
    means: "Open vSwitch actions led back into the datapath too many times.",
    causes: ["patch ports, tunnels or recirculation that form a circle"],
    confirm: ["dmesg | grep 'ovs: recursion limit'", "ovs-appctl dpctl/dump-flows -m"],
    change: ["break the circle in the rules or the topology"],
  },
  OVS_DROP_DEFERRED_LIMIT: {
    class: "fault",
    means: "Too many actions of one packet waited to run later (recirculation, sample).",
    causes: ["very long or nested action lists", "a flood to many ports, each with recirculation"],
    confirm: ["dmesg | grep 'deferred action limit'", "ovs-appctl dpctl/dump-flows -m"],
    change: ["simplify the rules"],
  },
  OVS_DROP_FRAG_L2_TOO_LONG: {
    class: "fault",
    means:
      "A packet had to be fragmented on output, and its link-layer header is too long for that.",
    causes: ["many VLAN tags, MPLS labels or NSH, with a port whose MTU is too small"],
    confirm: ["ovs-appctl dpctl/show", "ip link show"],
    change: ["raise the port's MTU, so that nothing must be fragmented"],
  },
  OVS_DROP_FRAG_INVALID_PROTO: {
    class: "fault",
    means:
      "A packet that is too large for the output port is neither IPv4 nor IPv6, so it can't be fragmented.",
    causes: ["a port whose MTU is too small for reassembled or encapsulated packets"],
    confirm: ["ovs-appctl dpctl/show", "dmesg | grep -i 'failed fragment'"],
    change: ["raise the port's MTU"],
  },
  OVS_DROP_CONNTRACK: {
    class: "fault",
    means: "Open vSwitch's connection tracking (the ct action) couldn't process the packet.",
    causes: [
      "a full connection tracking table, or a zone's limit is reached",
      "a NAT or helper that failed, or fragments that couldn't be reassembled",
    ],
    confirm: [
      "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
      "ovs-appctl dpctl/ct-get-limits",
      "conntrack -S",
    ],
    change: [
      "raise net.netfilter.nf_conntrack_max or the zone's limit",
      "fix the NAT range in the rules",
    ],
  },
  OVS_DROP_IP_TTL: {
    class: "normal",
    means: "The TTL or hop limit ran out at a flow's dec_ttl action.",
    causes: ["traceroute (a few)", "a routing loop (a flood): then it is a fault"],
    confirm: ["ovs-appctl dpctl/dump-flows -m"],
    change: ["nothing, for traceroute", "break the loop in the logical routers"],
  },

  mac80211_unusable: {
    class: "normal",
    means:
      "The Wi-Fi stack received a frame that it can't use: a duplicate, a replay, a bad decryption, a frame for no station or an unknown management frame. The low 16 bits say which.",
    causes: [
      "radio noise and retransmissions: duplicates, broken frames",
      "other networks' and other stations' management frames",
      "key changes and roaming; a steady rate of decryption failures is a fault",
    ],
    confirm: ["iw dev", "iw dev wlan0 station dump"],
    change: ["nothing: it is normal", "look at signal and channel, if throughput suffers"],
  },
  mac80211_monitor: {
    class: "normal",
    means:
      "The Wi-Fi stack dropped a frame that monitor interfaces could still see. Older kernels have this subsystem; newer ones count it as mac80211_unusable.",
    causes: [
      "other networks' and other stations' frames on the channel",
      "management frames that nobody here handles",
    ],
    confirm: ["iw dev", "iw dev wlan0 station dump"],
    change: ["nothing: it is normal"],
  },
  openvswitch: {
    class: "policy",
    means:
      "Open vSwitch's kernel datapath dropped the packet. The low 16 bits say why: the OVS_DROP reasons.",
    causes: [
      "a flow that drops, or has no actions",
      "a meter over its rate",
      "an error in an action or in connection tracking: then it is a fault",
    ],
    confirm: [
      "ovs-appctl dpctl/dump-flows -m",
      "ovs-appctl dpctl/show",
      "dmesg | grep -i openvswitch",
    ],
    change: ["nothing, if the rules mean it", "fix the OpenFlow rules"],
  },
  qdisc: {
    class: "fault",
    means:
      "A queueing discipline dropped the packet while dequeuing and passed its own reason on (newer kernels). The tracepoint qdisc:qdisc_drop has the names.",
    causes: [
      "a queue management qdisc (CoDel, fq_codel, dualpi2) below a qdisc that doesn't collect such drops",
      "a queue over its limit",
    ],
    confirm: ["tc -s qdisc show", "perf stat -a -e qdisc:qdisc_drop sleep 10"],
    change: ["raise the rate or the limit of the qdisc, or send less"],
  },
} as const;
