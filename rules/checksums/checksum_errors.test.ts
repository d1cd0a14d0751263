import { ruleTest } from "dropwatch/test";
import rule from "./checksum_errors.ts";

const drop = { reason: "TCP_CSUM", dev: "eth0" } as const;

ruleTest(rule, [
  {
    name: "fires with the eleventh in five minutes, for each reason and device",
    given: [
      { at: "1m", drop, count: 10 },
      { at: "2m", drop: { ...drop, dev: "eth1" }, count: 10 },
      { at: "3m", drop, count: 1 },
      { at: "3m", drop: { reason: "UDP_CSUM" }, count: 11 },
    ],
    expect: [
      { at: "2m", state: "inactive" },
      {
        at: "3m",
        state: "firing",
        labels: { reason: "TCP_CSUM", dev: "eth0" },
        value: 11,
        summary: "11 packets with a wrong checksum (TCP_CSUM) in five minutes on eth0",
      },
      {
        at: "3m",
        state: "firing",
        labels: { reason: "UDP_CSUM" },
        summary: "11 packets with a wrong checksum (UDP_CSUM) in five minutes",
      },
    ],
  },
  {
    name: "leaves ten in five minutes alone",
    given: [{ at: "1m", drop, count: 10 }, { at: "6m", drop, count: 10 }],
    expect: [{ at: "5m", state: "inactive" }, { at: "6m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "1m", drop, count: 20 }],
    expect: [{ at: "10m58s", state: "firing" }, { at: "10m59s", state: "inactive" }],
  },
]);
