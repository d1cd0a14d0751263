// `dropwatch doctor` on the real kernel: all that it looks at is right here, and nothing of it stays.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { chmod } from "node:fs/promises";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { examine } from "../../plugins/doctor/doctor.ts";
import { withNamespaces } from "../../plugins/doctor/namespaces.ts";
import { startPeer } from "../../plugins/doctor/peer.ts";
import { readKernel } from "../../plugins/sources/bpftrace/kernel.ts";
import { bpftraceSource } from "../../plugins/sources/bpftrace/source.ts";
import { makeFolder } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { bpftrace, kernelTest, startDropwatch, withBpftrace } from "./machine.ts";
import type { Running } from "./machine.ts";

let temporary: Folder;
beforeEach(async () => {
  temporary = await makeFolder();
  // The rule host runs as nobody.
  await chmod(temporary.path, 0o755);
});
afterEach(() => temporary.remove());

/** bpftrace writes there too, and in its chroot there is no such folder. */
const elsewhere = `env -u TMPDIR ${bpftrace.join(" ")}`;

const startDoctor = (...args: readonly string[]): Running =>
  startDropwatch(["doctor", "--bpftrace", elsewhere, ...args], {
    env: { TMPDIR: temporary.path },
  });

/** A file of a process; "" where it is gone. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

const pids = (): number[] => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);

/** What a process has started, and what these have, with their names. */
function descendants(pid: number): Map<number, string> {
  const parents = new Map(pids().map((each) => [each, read(each, "stat").split(") ").at(-1)!]));
  const found = new Map<number, string>();
  const walk = (of: number): void => {
    for (const [each, stat] of parents) {
      if (Number(stat.split(" ")[1]) !== of || found.has(each)) continue;
      found.set(each, read(each, "comm").trim());
      walk(each);
    }
  };
  walk(pid);
  // Gone before its name was read.
  for (const [each, name] of found) if (name === "") found.delete(each);
  return found;
}

/** The network namespace of a process; 0 where it is gone. */
function netnsOf(pid: number | "self"): number {
  try {
    return statSync(`/proc/${pid}/ns/net`).ino;
  } catch {
    return 0;
  }
}

/** The network namespaces that processes have of their own. */
function namespacesOf(family: ReadonlyMap<number, string>): Set<number> {
  const found = new Set([...family.keys()].map(netnsOf));
  found.delete(0);
  found.delete(netnsOf("self"));
  return found;
}

/** Whether a process is still in one of them. */
const inUse = (namespaces: ReadonlySet<number>): boolean =>
  pids().some((pid) => namespaces.has(netnsOf(pid)));

async function until(holds: () => boolean, seconds = 10): Promise<void> {
  for (const end = Date.now() + 1000 * seconds; !holds(); await sleep(50)) {
    if (Date.now() > end) throw new Error(`not so within ${seconds} s: ${holds}`);
  }
}

/** Waits until its peers, its namespaces and bpftrace are there, and it makes trials. */
async function inTheMiddle(doctor: Running): Promise<ReadonlyMap<number, string>> {
  const names = (): string[] => [...descendants(doctor.pid).values()];
  await until(() => ["dw-receiver", "dw-sender", "cat"].every((name) => names().includes(name)));
  await sleep(3000);
  const family = descendants(doctor.pid);
  expect([...family.values()]).toContain("bpftrace");
  return family;
}

const alive = (family: ReadonlyMap<number, string>): string[] =>
  [...family].filter(([pid, name]) => read(pid, "comm").trim() === name)
    .filter(([pid]) => !/\) Z /.test(read(pid, "stat"))).map(([, name]) => name);

describe("doctor", () => {
  kernelTest("finds all right on this machine, and says so to people", async () => {
    const doctor = startDoctor();
    const code = await doctor.ended;
    const text = doctor.out.join("\n");
    expect(text).toMatch(/^Linux \d+\.\d+.*, bpftrace v\d+\.\d+.*, with BTF, (Bun|Deno) \d+\./);
    expect(text).toMatch(/\nNO_SOCKET +v4 +1,000 +✓ +✓ +✓ +✓ +✓ +[✓–]\n/);
    expect(text).not.toContain("✗");
    expect(text).toMatch(/\nthe watch adds \+[\d,]+ ns a drop \(plain send [\d,]+ ns\)\n/);
    expect(doctor.out.at(-1)).toBe("19 checks: 19 right, 0 wrong, 0 skipped");
    expect([code, doctor.err]).toEqual([0, []]);
    expect(readdirSync(temporary.path)).toEqual([]);
  });

  kernelTest("tells it as JSON, with --json", async () => {
    const doctor = startDoctor("--json");
    expect(await doctor.ended).toBe(0);
    const told = doctor.out.map((line) => JSON.parse(line));
    const summary = told.pop();
    expect(summary.type).toBe("summary");
    expect(summary.data).toMatchObject({ checks: 19, right: 19, wrong: 0, skipped: 0, btf: true });
    expect(summary.data.kernel).toMatch(/^\d+\.\d+/);
    expect(summary.data.bpftrace).toMatch(/^bpftrace v\d/);
    expect(summary.data.cost.plain).toBeGreaterThan(0);
    expect(summary.data.cost.added).toBeGreaterThan(0);
    expect(summary.data.seconds).toBeLessThan(60);
    expect(new Set(told.map(({ type }) => type))).toEqual(new Set(["check"]));
    const kinds = new Set(told.map(({ data }) => data.kind));
    expect(kinds.size).toBeGreaterThanOrEqual(8);
    for (const { data: { kind, findings } } of told) {
      const uncounted = ["NETFILTER_DROP", "QDISC_DROP"].includes(kind);
      expect([kind, findings.counters.verdict]).toEqual([kind, uncounted ? "none" : "right"]);
    }
    const filtered = told.find(({ data }) => data.kind === "SOCKET_FILTER" && data.family === 6);
    expect(filtered.data).toMatchObject({ verdict: "right", sent: 1000 });
    // Two processes, so that the owner isn't told for the one that was on the CPU.
    expect(filtered.data.findings.owner.found).toMatch(/^dw-receiver \(\d+\)$/);
    const queued = told.find(({ data }) => data.kind === "QDISC_DROP");
    expect(queued.data.findings.owner.found).toMatch(/^dw-sender \(\d+\)$/);
  });

  kernelTest("leaves nothing behind when it is interrupted, and isn't green then", async () => {
    const doctor = startDoctor();
    const family = await inTheMiddle(doctor);
    const namespaces = namespacesOf(family);
    expect(namespaces.size).toBe(2);
    expect(await doctor.stop("SIGINT")).toBe(1);
    expect(doctor.out.at(-1)).toMatch(/^19 checks: \d+ right, 0 wrong, [1-9]\d* skipped$/);
    expect(doctor.out.join("\n")).toContain("skipped: interrupted");
    // The bundler ends by itself when its pipe is closed: a moment after doctor.
    await until(() => alive(family).length === 0);
    expect(inUse(namespaces)).toBe(false);
    expect(readdirSync(temporary.path)).toEqual([]);
  });

  kernelTest("leaves no process and no namespace behind when it is killed", async () => {
    const doctor = startDoctor();
    const family = await inTheMiddle(doctor);
    const namespaces = namespacesOf(family);
    expect(namespaces.size).toBe(2);
    process.kill(doctor.pid, "SIGKILL");
    await until(() => alive(family).length === 0);
    expect(inUse(namespaces)).toBe(false);
  });

  kernelTest("checks what can be told without BTF", async () => {
    const source = bpftraceSource({
      command: bpftrace,
      readKernel: async () => ({ ...await readKernel(), btf: false, members: new Map() }),
    });
    const { checks } = await examine({
      source,
      signal: new AbortController().signal,
      log: console.error,
      onProgress: () => {},
    });
    expect(checks.filter(({ verdict }) => verdict !== "right")).toEqual([]);
    for (const { findings } of checks) {
      expect(findings).toMatchObject({
        name: { verdict: "right" },
        owner: { verdict: "none" },
        site: { verdict: "right" },
        count: { verdict: "right" },
        flow: { verdict: "none" },
      });
    }
  });

  kernelTest("finds a wrong port, says what it should be, and has exit code 1", async () => {
    // A bpftrace whose program turns the last bit of each source port: that is wrong for all of them.
    const wrong = await temporary.write(
      "bpftrace.sh",
      [
        'sed "s/((\\$port & 0xff) << 8) | ((\\$port >> 8) & 0xff)/(& ^ 1)/" > "$0.bt"',
        `exec ${bpftrace.join(" ")} "$@" < "$0.bt"`,
        "",
      ].join("\n"),
    );
    const doctor = startDropwatch(["doctor", "--json", "--bpftrace", `sh ${wrong}`]);
    expect(await doctor.ended).toBe(1);
    const told = doctor.out.map((line) => JSON.parse(line));
    expect(told.pop().data).toMatchObject({ checks: 19, right: 0, wrong: 19 });
    for (const { data: { findings: { flow, ...rest } } } of told) {
      expect(flow.verdict).toBe("wrong");
      expect(flow.expected).not.toBe(flow.found);
      expect(
        Object.values(rest).filter((each) => (each as { verdict: string }).verdict === "wrong"),
      )
        .toEqual([]);
    }
  });

  kernelTest("lets a peer send in its own namespace only, and says what failed there", async () => {
    await withNamespaces(async ({ a, b }) => {
      await expect(startPeer("dw-lost", { ...a, inode: b.inode })).rejects.toThrow(
        "Cannot start as dw-lost: it isn't in the network namespace that was made for it",
      );
      const peer = await startPeer("dw-peer", a);
      try {
        expect(read(peer.pid, "comm")).toBe("dw-peer\n");
        const at = { address: b.v4, port: 5000 };
        await expect(peer.ask({ do: "receive", how: "filter", at })).rejects
          .toThrow("Cannot receive as dw-peer: Cannot bind: EADDRNOTAVAIL");
        const { n } = await peer.ask({ do: "send", to: at, size: 16, count: 3 });
        expect(n).toBe(3);
      } finally {
        await peer.close();
      }
    });
  });

  kernelTest("says that it needs root", async () => {
    const doctor = startDropwatch(["doctor", ...withBpftrace], { root: false });
    expect(await doctor.ended).toBe(3);
    expect(doctor.err.join("\n")).toContain("[NEEDS_ROOT]");
    expect(doctor.out).toEqual([]);
  });

  kernelTest("says what it lacks", async () => {
    const doctor = startDropwatch(["doctor", "--bpftrace", "/nonexistent/bpftrace"]);
    expect(await doctor.ended).toBe(3);
    expect(doctor.err.join("\n")).toContain('Cannot find "/nonexistent/bpftrace"');
    expect(doctor.out).toEqual([]);
  });
});
