// A peer's own program: a process that sends or receives in one of doctor's network namespaces.
//
//   peer_child.ts NAME INODE
//
// It obeys the questions on its stdin, and ends with it.
import { readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { splitLines } from "../../core/lines.ts";
import { reasonOf } from "../../core/error.ts";
import { familyOf, linkAddress, portOf, socketAddress } from "./address.ts";
import type { Endpoint } from "./address.ts";
import { openLibc, sys } from "../libc.ts";
import type { Answer, Done, Question, Receiving } from "./peer_message.ts";

const [name = "", inode = ""] = process.argv.slice(2);
const libc = await openLibc();

const receivers: number[] = [];
const senders: number[] = [];
const connections: number[] = [];
const nothing: Done = { n: 0, ports: [], times: [] };

const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);

function open(type: number, address: string): number {
  return libc.socket(familyOf(address) === 6 ? sys.AF_INET6 : sys.AF_INET, type, 0);
}

function receive(how: Receiving, at: Endpoint): number {
  const fd = open(sys.SOCK_DGRAM, at.address);
  receivers.push(fd);
  // BPF_RET | BPF_K with 0: none of the packet is kept.
  if (how === "filter") libc.attachFilter(fd, Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0));
  // The kernel makes the least of it that it allows.
  if (how === "buffer") libc.setOption(fd, sys.SOL_SOCKET, sys.SO_RCVBUF, int(0));
  libc.bind(fd, socketAddress(at));
  return fd;
}

function drain(): Done {
  let n = 0;
  for (const fd of receivers) while (libc.receive(fd)) n++;
  return { ...nothing, n };
}

function listen(at: Endpoint): Done {
  const fd = open(sys.SOCK_STREAM, at.address);
  receivers.push(fd);
  libc.setOption(fd, sys.SOL_SOCKET, sys.SO_REUSEADDR, int(1));
  libc.setOption(fd, sys.IPPROTO_TCP, sys.TCP_DEFER_ACCEPT, int(60));
  libc.bind(fd, socketAddress(at));
  libc.listen(fd, 4096);
  return nothing;
}

function sender(address: string): number {
  const fd = open(sys.SOCK_DGRAM, address);
  senders.push(fd);
  // Packets that wait in a queue don't stop it.
  libc.setOption(fd, sys.SOL_SOCKET, sys.SO_SNDBUF, int(1 << 22));
  return fd;
}

function sendTimes(fd: number, bytes: Uint8Array, to: Uint8Array, count: number): number {
  let n = 0;
  for (let i = 0; i < count; i++) if (libc.send(fd, bytes, to)) n++;
  return n;
}

/** The socket isn't connected: an ICMP error of one packet would eat the next. */
function send({ to, from, size, count }: Question & { do: "send" }): Done {
  const fd = sender(to.address);
  const any = familyOf(to.address) === 6 ? "::" : "0.0.0.0";
  libc.bind(fd, socketAddress({ address: from ?? any, port: 0 }));
  const n = sendTimes(fd, new Uint8Array(size), socketAddress(to), count);
  return { ...nothing, n, ports: [portOf(libc.localAddress(fd))] };
}

function connect({ to, count }: Question & { do: "connect" }): Done {
  // struct timeval: a second, for each.
  const patience = new Uint8Array(BigInt64Array.of(1n, 0n).buffer);
  for (let i = 0; i < count; i++) {
    const fd = open(sys.SOCK_STREAM, to.address);
    connections.push(fd);
    libc.setOption(fd, sys.SOL_SOCKET, sys.SO_SNDTIMEO, patience);
    libc.connect(fd, socketAddress(to));
  }
  const ports = connections.map((fd) => portOf(libc.localAddress(fd)));
  return { ...nothing, n: connections.length, ports };
}

function speak(): Done {
  const connected = new Uint8Array(0);
  const n = connections.filter((fd) => libc.send(fd, new Uint8Array(1), connected)).length;
  reset();
  return { ...nothing, n };
}

/** A reset instead of a FIN: the connection is gone before it sends its data again (200 ms). */
function reset(): void {
  for (const fd of connections.splice(0)) {
    libc.setOption(fd, sys.SOL_SOCKET, sys.SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
    libc.close(fd);
  }
}

function sendFrames({ device, bytes, count }: Question & { do: "frame" }): Done {
  // Of protocol 0 it receives nothing.
  const fd = libc.socket(sys.AF_PACKET, sys.SOCK_RAW, 0);
  senders.push(fd);
  const frame = Uint8Array.from(bytes.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const n = sendTimes(fd, frame, linkAddress(libc.deviceIndex(device)), count);
  return { ...nothing, n };
}

function time({ address, count, slices }: Question & { do: "time" }): Done {
  const receiver = receive("filter", { address, port: 0 });
  const to = socketAddress({ address, port: portOf(libc.localAddress(receiver)) });
  const fd = sender(address);
  const bytes = new Uint8Array(50);
  // Compiled, and warm.
  sendTimes(fd, bytes, to, count);
  const times = Array.from({ length: slices }, () => {
    const started = process.hrtime.bigint();
    const n = sendTimes(fd, bytes, to, count);
    return Number(process.hrtime.bigint() - started) / n;
  });
  return { ...nothing, n: count * (slices + 1), times };
}

function close(): Done {
  reset();
  for (const fd of [...receivers.splice(0), ...senders.splice(0)]) libc.close(fd);
  return nothing;
}

function answer(question: Question): Done {
  switch (question.do) {
    case "receive":
      receive(question.how, question.at);
      return nothing;
    case "drain":
      return drain();
    case "listen":
      return listen(question.at);
    case "narrow":
      for (const fd of receivers) libc.listen(fd, 0);
      return nothing;
    case "send":
      return send(question);
    case "connect":
      return connect(question);
    case "speak":
      return speak();
    case "frame":
      return sendFrames(question);
    case "time":
      return time(question);
    case "close":
      return close();
  }
}

function say(answer: Answer): void {
  writeSync(1, `${JSON.stringify(answer)}\n`);
}

if (String(statSync("/proc/self/ns/net").ino) !== inode) {
  // It must not send anywhere else, whatever went wrong before.
  say({ say: "failed", message: "it isn't in the network namespace that was made for it" });
  process.exit(1);
}
// Whose the packets and sockets are is told by this name.
writeFileSync("/proc/self/comm", name);
if (readFileSync("/proc/self/comm", "utf8").trim() !== name) {
  say({ say: "failed", message: "it can't change its name" });
  process.exit(1);
}
say({ say: "ready", pid: process.pid });
await splitLines(process.stdin, (line) => {
  try {
    say({ say: "done", ...answer(JSON.parse(line) as Question) });
  } catch (thrown) {
    say({ say: "failed", message: reasonOf(thrown) });
  }
});
process.exit();
