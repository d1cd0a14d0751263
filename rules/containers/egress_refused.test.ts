import { ruleTest } from "dropwatch/test";
import rule from "./egress_refused.ts";

const drop = { reason: "BPF_CGROUP_EGRESS", unit: "updater.service" } as const;

ruleTest(rule, [
  {
    name:
      "fires with more than a hundred in five minutes, and names the container where there is one",
    given: [
      { at: "1m", drop, count: 101 },
      { at: "2m", drop: { ...drop, unit: "", container: "4f1d2c3b4a59" }, count: 200 },
    ],
    expect: [
      {
        at: "1m",
        state: "firing",
        labels: { unit: "updater.service", container: "" },
        value: 101,
        summary:
          "updater.service was refused 101 packets in five minutes by a BPF program of its " +
          "cgroup",
        description: /IPAddressAllow updater\.service`/,
      },
      {
        at: "2m",
        state: "firing",
        labels: { unit: "" },
        summary: /^4f1d2c3b4a59 was refused 200 /,
      },
    ],
  },
  {
    name: "leaves a hundred alone",
    given: [{ at: "1m", drop, count: 100 }],
    expect: [{ at: "1m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "1m", drop, count: 200 }],
    expect: [{ at: "10m58s", state: "firing" }, { at: "10m59s", state: "inactive" }],
  },
]);
