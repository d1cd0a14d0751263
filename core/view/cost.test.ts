// What the watch takes, of real processes.
import { spawn } from "node:child_process";
import { describe, expect, test } from "bun:test";
import { until } from "../../test/run.ts";
import { costMeter } from "./cost.ts";

describe("a meter", () => {
  test("counts what children use, also of those that are gone", async () => {
    // A shell that keeps a CPU busy until it is told to end.
    const child = spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" });
    try {
      await until(() => child.pid !== undefined);
      const meter = costMeter(process.pid);
      meter.look(0);
      const of = () => meter.cost.processes.find(({ name }) => name === "dropwatch")!;
      const before = of();
      expect(before.processes).toBeGreaterThanOrEqual(2);
      expect(before.cpu).toBe(0); // Nothing is known of a rate yet.
      expect(before.memoryBytes).toBeGreaterThan(1e6);
      let now = 0;
      await until(() => {
        meter.look(now += 2000);
        return of().cpuSeconds - before.cpuSeconds > 0.1 && meter.total.cpu > 0;
      });
      const during = of();
      child.kill("SIGKILL");
      await until(() => {
        meter.look(now += 2000);
        return of().processes === during.processes - 1;
      });
      expect(of().cpuSeconds).toBeGreaterThanOrEqual(during.cpuSeconds);
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("looks every two seconds, not more often", () => {
    const meter = costMeter(process.pid);
    meter.look(0);
    const { cost } = meter;
    meter.look(1999);
    expect(meter.cost).toBe(cost);
    meter.look(2000);
    expect(meter.cost).not.toBe(cost);
  });

  test("of a process that there isn't is empty", () => {
    const meter = costMeter(2 ** 30);
    meter.look(0);
    expect(meter.cost).toEqual({ processes: [], probe: null });
    expect(meter.total).toEqual({ cpu: 0, memoryBytes: 0 });
  });
});
