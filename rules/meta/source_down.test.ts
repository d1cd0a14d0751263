import { ruleTest } from "dropwatch/test";
import rules from "./source_down.ts";

const down = { event: "down", why: "bpftrace ended: killed by SIGKILL" } as const;

ruleTest(rules, [
  {
    name: "fires when the source stays away",
    given: [{ from: "1m", to: "2m", health: down }],
    expect: [
      { at: "1m15s", state: "pending", alert: "SourceDown" },
      {
        at: "1m16s",
        state: "firing",
        alert: "SourceDown",
        labels: { severity: "critical" },
        value: 10,
        summary: "drops aren't counted: the source is down",
      },
      { at: "2m18s", state: "firing", alert: "SourceDown" },
      { at: "2m19s", state: "inactive", alert: "SourceDown" },
    ],
  },
  {
    name: "leaves a restart of five seconds alone",
    given: [{ from: "1m", to: "1m5s", health: down }],
    expect: [
      { at: "1m10s", state: "pending", alert: "SourceDown" },
      { at: "1m16s", state: "inactive" },
      { at: "3m", state: "inactive" },
    ],
  },
  {
    name: "fires when it goes again and again",
    given: Array.from({ length: 7 }, (_, i) => (
      { from: `${1 + i}m`, to: `${1 + i}m3s`, health: down } as const
    )),
    expect: [
      { at: "6m30s", state: "inactive" },
      {
        at: "7m3s",
        state: "firing",
        alert: "SourceUnstable",
        value: 21,
        summary: "drops weren't counted in 21 ticks of the last quarter of an hour",
      },
      { at: "20m59s", state: "firing", alert: "SourceUnstable" },
      { at: "21m5s", state: "inactive" },
    ],
  },
  {
    name: "says nothing where there is only quiet",
    given: [],
    expect: [{ at: "20m", state: "inactive" }],
  },
]);
