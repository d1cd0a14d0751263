import { describe, expect, test } from "bun:test";
import { fingerprint } from "./alert.ts";
import { makeInhibitor } from "./inhibit.ts";
import type { Inhibitor } from "./inhibit.ts";
import type { Labels } from "./notification.ts";
import { makeRouting } from "./route.ts";
import type { InhibitRule } from "./route.ts";

/** Some inhibitions, by the names of alerts. */
function inhibited(...inhibitRules: readonly InhibitRule[]): {
  readonly inhibitor: Inhibitor;
  fires(labels: Labels): void;
  ends(labels: Labels): void;
  /** What keeps an alert quiet. */
  by(labels: Labels): string | undefined;
} {
  const inhibitor = makeInhibitor(makeRouting({ inhibitRules }, []).inhibitions);
  const known = new Map<string, string>();
  return {
    inhibitor,
    fires(labels) {
      known.set(fingerprint(labels), labels["alertname"]!);
      inhibitor.set(fingerprint(labels), labels, true);
    },
    ends: (labels) => inhibitor.set(fingerprint(labels), labels, false),
    by: (labels) => known.get(inhibitor.by(labels) ?? ""),
  };
}

const critical: InhibitRule = {
  sourceMatchers: ['severity="critical"'],
  targetMatchers: ['severity="info"'],
  equal: ["dev"],
};

describe("an inhibition", () => {
  test("keeps a target quiet as long as a source fires", () => {
    const { fires, ends, by } = inhibited(critical);
    const [down, slow] = [
      { alertname: "Down", severity: "critical", dev: "eth0" },
      { alertname: "Slow", severity: "info", dev: "eth0" },
    ];
    expect(by(slow)).toBeUndefined();
    fires(down);
    expect(by(slow)).toBe("Down");
    ends(down);
    expect(by(slow)).toBeUndefined();
  });

  test("is about those alone that have equal values of its labels", () => {
    const { fires, by } = inhibited({ ...critical, equal: ["dev", "ns"] });
    fires({ alertname: "Down", severity: "critical", dev: "eth0", ns: "a" });
    expect(by({ severity: "info", dev: "eth0", ns: "a" })).toBe("Down");
    expect(by({ severity: "info", dev: "eth1", ns: "a" })).toBeUndefined();
    expect(by({ severity: "info", dev: "eth0", ns: "b" })).toBeUndefined();
    expect(by({ severity: "info", dev: "eth0" })).toBeUndefined();
  });

  test("tells values apart that look alike when joined", () => {
    const { fires, by } = inhibited({ ...critical, equal: ["dev", "ns"] });
    fires({ alertname: "Down", severity: "critical", dev: "a,b", ns: "c" });
    expect(by({ severity: "info", dev: "a", ns: "b,c" })).toBeUndefined();
  });

  test("takes a label that isn't there as an empty one", () => {
    const { fires, by } = inhibited(critical);
    fires({ alertname: "Down", severity: "critical" });
    expect(by({ severity: "info" })).toBe("Down");
    expect(by({ severity: "info", dev: "" })).toBe("Down");
    expect(by({ severity: "info", dev: "eth0" })).toBeUndefined();
    const odd = inhibited({ ...critical, equal: ["constructor"] });
    odd.fires({ alertname: "Down", severity: "critical", constructor: "" });
    expect(odd.by({ severity: "info" })).toBe("Down");
  });

  test("without labels that must be equal is about all targets", () => {
    const { fires, by } = inhibited({ sourceMatchers: ["a=1"], targetMatchers: ["b=1"] });
    fires({ alertname: "Source", a: "1", dev: "eth0" });
    expect(by({ b: "1", dev: "eth1" })).toBe("Source");
  });

  test("isn't about alerts that aren't its target, nor begun by those that aren't its source", () => {
    const { fires, by } = inhibited(critical);
    fires({ alertname: "Warns", severity: "warning", dev: "eth0" });
    expect(by({ severity: "info", dev: "eth0" })).toBeUndefined();
    fires({ alertname: "Down", severity: "critical", dev: "eth0" });
    expect(by({ severity: "warning", dev: "eth0" })).toBeUndefined();
  });

  test("never keeps an alert quiet by itself", () => {
    const { fires, by } = inhibited({ sourceMatchers: ["a=1"], targetMatchers: ["a=1"] });
    const self = { alertname: "Self", a: "1" };
    fires(self);
    expect(by(self)).toBeUndefined();
  });

  // alertmanager/docs/configuration.md: "an alert that matches both the target and the source side of a
  // rule cannot be inhibited by alerts for which the same is true".
  test("leaves two alone that are both its source and its target", () => {
    const { fires, by } = inhibited({ sourceMatchers: ["a=1"], targetMatchers: ["b=1"] });
    const both = { alertname: "Both", a: "1", b: "1" };
    const too = { alertname: "Too", a: "1", b: "1", more: "x" };
    fires(both);
    fires(too);
    expect([by(both), by(too)]).toEqual([undefined, undefined]);
    expect(by({ alertname: "Target", b: "1" })).toBe("Both");
    fires({ alertname: "Source", a: "1" });
    expect([by(both), by(too)]).toEqual(["Source", "Source"]);
  });

  test("lasts until the last of several sources is over", () => {
    const { fires, ends, by } = inhibited(critical);
    const [one, two] = ["One", "Two"]
      .map((alertname) => ({ alertname, severity: "critical", dev: "eth0" }));
    const target = { severity: "info", dev: "eth0" };
    fires(one!);
    fires(two!);
    ends(one!);
    expect(by(target)).toBe("Two");
    ends(two!);
    expect(by(target)).toBeUndefined();
  });

  test("is one of several: each keeps its targets quiet", () => {
    const { fires, by } = inhibited(
      critical,
      { sourceMatchers: ["alertname=Down"], targetMatchers: ["alertname=~Slow.*"] },
    );
    fires({ alertname: "Down", severity: "warning", dev: "eth0" });
    expect(by({ alertname: "Slowish", severity: "info", dev: "eth0" })).toBe("Down");
    expect(by({ alertname: "Other", severity: "info", dev: "eth0" })).toBeUndefined();
  });
});
