// bpftrace that dies is started again and the gap is said; one that can't start says what to do.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { startTraffic } from "../traffic/traffic.ts";
import { bpftrace, bpftraceBelow, kernelTest, startDropwatch, withBpftrace } from "./machine.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dropwatch-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const rule = `
import { drops, rule } from "dropwatch";
export default rule({
  alert: "Refused",
  when: drops.where({ reason: "SOCKET_FILTER" }).by("ownerPort").count("1m").above(10),
});
`;

async function refuse(count: number, port: number): Promise<void> {
  const traffic = await startTraffic("socket-filter", { count, port });
  traffic.go();
  await traffic.done;
}

describe("supervision", () => {
  kernelTest("a bpftrace that is killed is started again; alerts keep their state", async () => {
    await writeFile(join(folder, "refused.ts"), rule);
    const watch = startDropwatch([
      "--rules",
      folder,
      "--json",
      ...withBpftrace,
    ]);
    await watch.attached;
    await refuse(100, 45_001);
    await watch.line((line) => line.includes("alert.firing"));
    const [victim] = bpftraceBelow(watch.pid);
    process.kill(victim!, "SIGKILL");
    // Only when it counts again: what comes before that nobody can know.
    for (;;) {
      if (watch.err.some((line) => /counts again after/.test(line))) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await refuse(50, 45_002);
    await watch.line((line) => line.includes("45002") && line.includes("alert.firing"));
    expect(await watch.stop("SIGTERM")).toBe(0);
    const lines = watch.out.map((line) => JSON.parse(line));
    const alerts = lines.filter(({ type }) => type.startsWith("alert."));
    // The first alert neither ended nor fired again, and the second says that it isn't exact.
    expect(alerts.map(({ type, data }) => [type, data.labels.ownerPort, data.exact])).toEqual([
      ["alert.firing", "45001", true],
      ["alert.firing", "45002", false],
    ]);
    const { data } = lines.at(-1);
    expect(data.restarts).toBe(1);
    expect(data.seen).toBe(data.counted + data.other + data.lost);
    expect(watch.err.some((line) => /bpftrace ended \(.*SIGKILL|137/.test(line))).toBe(true);
  });

  kernelTest(
    "an alert survives a kill -9 of dropwatch: it fires once, and its end is told",
    async () => {
      await writeFile(join(folder, "refused.ts"), rule.replace("1m", "3s"));
      const args = ["--rules", folder, "--json", "--state", join(folder, "state"), ...withBpftrace];
      const first = startDropwatch(args);
      await first.attached;
      await refuse(100, 45_003);
      const fired = JSON.parse(await first.line((line) => line.includes("alert.firing")));
      // Killed before it has written down that it was printed, it would print it again: at least once.
      await sleep(300);
      await first.stop("SIGKILL");
      const second = startDropwatch(args);
      const resolved = JSON.parse(await second.line((line) => line.includes("alert.resolved")));
      expect(await second.stop()).toBe(0);
      expect(resolved.data).toMatchObject({
        fingerprint: fired.data.fingerprint,
        startsAt: fired.data.startsAt,
        annotations: fired.data.annotations,
        total: 100,
      });
      expect(second.out.some((line) => line.includes("alert.firing"))).toBe(false);
    },
  );

  kernelTest("no bpftrace: exit code 3 and the command that installs it", async () => {
    await writeFile(join(folder, "refused.ts"), rule);
    const watch = startDropwatch(["--rules", folder, "--bpftrace", "/nonexistent/bpftrace"]);
    expect(await watch.ended).toBe(3);
    const said = watch.err.join("\n");
    expect(said).toContain("NO_BPFTRACE");
    expect(said).toContain("install");
  });

  kernelTest("no root: exit code 3 and the sudo line", async () => {
    await writeFile(join(folder, "refused.ts"), rule);
    // bpftrace itself says so, as any user would see it.
    const denied = join(folder, "denied");
    await writeFile(
      denied,
      `#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups ${
        bpftrace.join(" ")
      } "$@"\n`,
    );
    await chmod(folder, 0o755);
    await chmod(denied, 0o755);
    const watch = startDropwatch(["--rules", folder, "--bpftrace", denied]);
    expect(await watch.ended).toBe(3);
    const said = watch.err.join("\n");
    expect(said).toContain("NO_ROOT");
    expect(said).toContain("sudo");
  });
});
