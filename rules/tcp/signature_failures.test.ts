import { ruleTest } from "dropwatch/test";
import rule from "./signature_failures.ts";

const drop = { reason: "TCP_MD5FAILURE", l4: "TCP", dev: "eth0" } as const;

ruleTest(rule, [
  {
    name: "fires with the eleventh in five minutes, for each reason by itself",
    given: [
      { at: "1m", drop, count: 10 },
      { at: "2m", drop, count: 1 },
      { at: "2m", drop: { ...drop, reason: "TCP_AOKEYNOTFOUND" }, count: 10 },
      { at: "3m", drop: { ...drop, reason: "TCP_AUTH_HDR", dev: "" }, count: 11 },
    ],
    expect: [
      { at: "1m", state: "inactive" },
      {
        at: "2m",
        state: "firing",
        labels: { reason: "TCP_MD5FAILURE", dev: "eth0" },
        value: 11,
        summary: "11 TCP segments in five minutes were refused by their signature on eth0: " +
          "TCP_MD5FAILURE",
        description: /^`dropwatch tail --reason TCP_MD5FAILURE` /,
      },
      { at: "2m", state: "inactive", labels: { reason: "TCP_AOKEYNOTFOUND" } },
      {
        at: "3m",
        state: "firing",
        labels: { reason: "TCP_AUTH_HDR" },
        summary: "11 TCP segments in five minutes were refused by their signature: TCP_AUTH_HDR",
      },
    ],
  },
  {
    name: "leaves ten alone, and other faults of TCP",
    given: [
      { at: "1m", drop, count: 10 },
      { from: 0, to: "5m", drop: { ...drop, reason: "TCP_ZEROWINDOW" }, rate: 50 },
    ],
    expect: [{ at: "1m", state: "inactive" }, { at: "5m", state: "inactive" }],
  },
  {
    name: "is resolved five minutes after they left the window",
    given: [{ at: "1m", drop, count: 20 }],
    expect: [{ at: "10m58s", state: "firing" }, { at: "10m59s", state: "inactive" }],
  },
]);
