// Configs and cases of routes that are right: each compiles.
import { defineConfig } from "dropwatch";
import type { Config } from "dropwatch";
import { routeTest } from "dropwatch/test";

export const config: Config = defineConfig({
  sinks: ["stdout"],
  externalURL: "https://example.org/",
  timeIntervals: {
    night: [{
      times: [{ startTime: "22:00", endTime: "24:00" }, { startTime: "00:00", endTime: "06:00" }],
      weekdays: ["monday:friday"],
      daysOfMonth: ["-3:-1"],
      months: ["january"],
      years: ["2026:2027"],
      location: "Europe/Berlin",
    }],
  },
  route: {
    receiver: ["stdout"],
    groupBy: ["..."],
    groupWait: "0s",
    groupInterval: "1m30s",
    repeatInterval: "1d",
    routes: [{
      matchers: ['severity="critical"'],
      receiver: "stdout",
      continue: true,
      muteTimeIntervals: ["night"],
      activeTimeIntervals: ["night"],
      routes: [{}],
    }],
  },
  inhibitRules: [{ sourceMatchers: ["a=b"], targetMatchers: ["c=d"], equal: ["dev"] }],
  flapping: { changes: 6, within: "10m", quiet: "5m", longest: "2h" },
});

export const held: Config = defineConfig({ flapping: false });

routeTest(config, [{
  name: "all that can happen",
  from: "2026-01-05T00:00:00Z",
  until: "1d",
  given: [
    {
      at: 0,
      fires: { alertname: "X", dev: "eth0" },
      severity: "critical",
      summary: "short",
      description: "long",
      value: 5,
    },
    { at: "1m", silence: { matchers: ["dev=eth0"], duration: "2h", comment: "upgrade" } },
    { at: "2m", restart: true },
    { at: "3m", resolves: { alertname: "X" } },
  ],
  expect: [
    { at: 0, receiver: "stdout" },
    {
      at: "10s",
      receiver: "stdout",
      status: "resolved",
      reason: "all alerts resolved",
      alerts: [{ dev: "eth0" }],
      text: /eth0/,
    },
  ],
}]);
