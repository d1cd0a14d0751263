// Sockets as the C library has them: filters, buffers, raw packets and datagrams to a path are nothing that
// node's API knows.
// The one file that knows how Bun and Deno call into C.
import { constants } from "node:os";
import { noLibc, systemCallFailed } from "../core/error.ts";

/** Its calls throw SYSTEM_CALL_FAILED with the call's name and the error's. Addresses are a sockaddr's bytes. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): void;
  connect(fd: number, address: Uint8Array): void;
  listen(fd: number, backlog: number): void;
  setOption(fd: number, level: number, name: number, value: Uint8Array): void;
  /** SO_ATTACH_FILTER with the instructions of a classic BPF program. */
  attachFilter(fd: number, code: Uint8Array): void;
  /** The sockaddr that a socket is bound to. */
  localAddress(fd: number): Uint8Array;
  /** True where it was taken; false where the kernel has no room, or tells the error of an earlier one. */
  send(fd: number, bytes: Uint8Array, to: Uint8Array): boolean;
  /** Reads one message that is there; undefined where there is none. */
  receive(fd: number): Uint8Array | undefined;
  /** The number of a network device. */
  deviceIndex(name: string): number;
  close(fd: number): void;
}

// As on x86-64 and arm64; on all of Linux but for SPARC, MIPS and PA-RISC.
/** Numbers of the kernel's interface. */
export const sys = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_PACKET: 17,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_CLOEXEC: 0x80000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_LINGER: 13,
  SO_SNDTIMEO: 21,
  SO_ATTACH_FILTER: 26,
  IPPROTO_TCP: 6,
  TCP_DEFER_ACCEPT: 9,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
} as const;

/** How the C library's file is called: with glibc, and with musl. */
const names = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

type Type = "i32" | "u32" | "size" | "bytes";

const calls = {
  socket: ["i32", "i32", "i32"],
  bind: ["i32", "bytes", "u32"],
  connect: ["i32", "bytes", "u32"],
  listen: ["i32", "i32"],
  setsockopt: ["i32", "i32", "i32", "bytes", "u32"],
  getsockname: ["i32", "bytes", "bytes"],
  sendto: ["i32", "bytes", "size", "i32", "bytes", "u32"],
  recv: ["i32", "bytes", "size", "i32"],
  if_nametoindex: ["bytes"],
  close: ["i32"],
} as const satisfies Readonly<Record<string, readonly Type[]>>;

type CallName = keyof typeof calls;
type Call = (...args: readonly (number | Uint8Array | null)[]) => number;

/** What a runtime's way into C comes to. All calls return an int here: none hands over much. */
interface Opened {
  readonly calls: Readonly<Record<CallName, Call>>;
  errno(): number;
  addressOf(bytes: Uint8Array): bigint;
}

/** Opens the C library. */
export async function openLibc(): Promise<Libc> {
  const open = "Deno" in globalThis ? openOnDeno : await openerOnBun();
  let failure: unknown;
  for (const name of names) {
    try {
      return libcOf(open(name));
    } catch (thrown) {
      failure ??= thrown;
    }
  }
  throw noLibc(names, failure);
}

/** The error is one of the thread's: nothing may come between the call and this. */
const errnoLocation = "__errno_location";

interface DenoFfi {
  dlopen(name: string, symbols: Record<string, unknown>): {
    readonly symbols: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  };
  readonly UnsafePointer: {
    of(bytes: Uint8Array): unknown;
    value(pointer: unknown): bigint | number;
  };
  readonly UnsafePointerView: new (pointer: unknown) => { getInt32(offset: number): number };
}

function openOnDeno(name: string): Opened {
  const deno = (globalThis as unknown as { Deno: DenoFfi }).Deno;
  const types: Readonly<Record<Type, string>> = {
    i32: "i32",
    u32: "u32",
    size: "usize",
    bytes: "buffer",
  };
  const { symbols } = deno.dlopen(name, {
    ...declare((args) => ({ parameters: args.map((arg) => types[arg]), result: "i32" })),
    [errnoLocation]: { parameters: [], result: "pointer" },
  });
  return {
    calls: symbols as Readonly<Record<CallName, Call>>,
    errno: () => new deno.UnsafePointerView(symbols[errnoLocation]!()).getInt32(0),
    addressOf: (bytes) => BigInt(deno.UnsafePointer.value(deno.UnsafePointer.of(bytes))),
  };
}

interface BunFfi {
  dlopen(name: string, symbols: Record<string, unknown>): ReturnType<DenoFfi["dlopen"]>;
  ptr(bytes: Uint8Array): number;
  readonly read: { i32(pointer: number, offset: number): number };
}

async function openerOnBun(): Promise<(name: string) => Opened> {
  // Not as a literal: Deno would look for it.
  const module = "bun:ffi";
  const bun = await import(module) as BunFfi;
  const types: Readonly<Record<Type, string>> = {
    i32: "i32",
    u32: "u32",
    size: "u64",
    bytes: "ptr",
  };
  return (name) => {
    const { symbols } = bun.dlopen(name, {
      ...declare((args) => ({ args: args.map((arg) => types[arg]), returns: "i32" })),
      [errnoLocation]: { args: [], returns: "ptr" },
    });
    return {
      calls: symbols as Readonly<Record<CallName, Call>>,
      errno: () => bun.read.i32(symbols[errnoLocation]!() as number, 0),
      addressOf: (bytes) => BigInt(bun.ptr(bytes)),
    };
  };
}

function declare(how: (args: readonly Type[]) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(calls).map(([call, args]) => [call, how(args)]));
}

const { EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, ENOBUFS, EPERM } = constants.errno;
/** A datagram that wasn't taken is no reason to stop: it isn't counted as sent. */
const notTaken: ReadonlySet<number> = new Set(
  [EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, ENOBUFS, EPERM],
);
const errorNames = new Map(Object.entries(constants.errno).map(([name, id]) => [id, name]));

function libcOf({ calls, errno, addressOf }: Opened): Libc {
  const fail = (call: string, error: number): never => {
    throw systemCallFailed(call, errorNames.get(error) ?? `error ${error}`);
  };
  const must = (call: string, result: number): number => {
    const error = result < 0 ? errno() : 0;
    return error === 0 ? result : fail(call, error);
  };
  const setOption: Libc["setOption"] = (fd, level, name, value) => {
    must(
      `setsockopt ${level}/${name}`,
      calls.setsockopt(fd, level, name, value, value.length),
    );
  };
  const flags = sys.MSG_DONTWAIT | sys.MSG_NOSIGNAL;
  const received = new Uint8Array(65536);
  return {
    socket: (domain, type, protocol) =>
      must("socket", calls.socket(domain, type | sys.SOCK_CLOEXEC, protocol)),
    bind: (fd, address) => void must("bind", calls.bind(fd, address, address.length)),
    connect: (fd, address) => void must("connect", calls.connect(fd, address, address.length)),
    listen: (fd, backlog) => void must("listen", calls.listen(fd, backlog)),
    setOption,
    attachFilter(fd, code) {
      // struct sock_fprog: how many instructions, of 8 bytes each, and where they are.
      const program = new Uint8Array(16);
      const view = new DataView(program.buffer);
      view.setUint16(0, code.length / 8, true);
      view.setBigUint64(8, addressOf(code), true);
      setOption(fd, sys.SOL_SOCKET, sys.SO_ATTACH_FILTER, program);
    },
    localAddress(fd) {
      const address = new Uint8Array(28);
      const length = new Uint8Array(Int32Array.of(address.length).buffer);
      must("getsockname", calls.getsockname(fd, address, length));
      return address;
    },
    send(fd, bytes, to) {
      if (calls.sendto(fd, bytes, bytes.length, flags, to, to.length) >= 0) return true;
      const error = errno();
      return notTaken.has(error) ? false : fail("sendto", error);
    },
    receive(fd) {
      const length = calls.recv(fd, received, received.length, flags);
      if (length >= 0) return received.slice(0, length);
      const error = errno();
      return error === EAGAIN ? undefined : fail("recv", error);
    },
    deviceIndex: (name) =>
      calls.if_nametoindex(new TextEncoder().encode(`${name}\0`)) ||
      fail(`if_nametoindex ${name}`, errno()),
    close: (fd) => void must("close", calls.close(fd)),
  };
}
