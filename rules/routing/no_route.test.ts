import { ruleTest } from "dropwatch/test";
import rules from "./no_route.ts";

const out = { reason: "IP_OUTNOROUTES", owner: "haproxy" } as const;
const forwarded = { reason: "IP_INNOROUTES", dev: "eth1" } as const;

ruleTest(rules, [
  {
    name: "fires for the program that has no route, and for what can't be forwarded",
    given: [
      { from: 0, to: "10m", drop: out, rate: 2 },
      { from: 0, to: "10m", drop: forwarded, rate: 4 },
    ],
    expect: [
      { at: "15s", state: "inactive" },
      { at: "16s", state: "pending", alert: "NoRouteOut", value: 32 },
      {
        at: "26s",
        state: "firing",
        labels: { owner: "haproxy", severity: "critical" },
        value: 52,
        summary: "52 packets of haproxy in a minute had no route",
      },
      { at: "2m30s", state: "inactive", alert: "NoRouteToForward" },
      {
        at: "2m31s",
        state: "firing",
        labels: { dev: "eth1", severity: "warning" },
        value: 604,
        summary: "604 packets from eth1 in five minutes were to be forwarded, and had no route",
      },
    ],
  },
  {
    name: "leaves a few alone",
    given: [
      { from: 0, to: "10m", drop: out, rate: 0.5 },
      { from: 0, to: "10m", drop: forwarded, rate: 2 },
    ],
    expect: [{ at: "5m", state: "inactive" }, { at: "10m", state: "inactive" }],
  },
  {
    name: "is resolved some minutes after the route is back",
    given: [
      { from: 0, to: "5m", drop: out, rate: 2 },
      { from: 0, to: "5m", drop: forwarded, rate: 4 },
    ],
    expect: [
      { at: "7m58s", state: "firing", alert: "NoRouteOut" },
      { at: "7m59s", state: "inactive", alert: "NoRouteOut" },
      { at: "14m43s", state: "firing", alert: "NoRouteToForward" },
      { at: "14m44s", state: "inactive" },
    ],
  },
]);
