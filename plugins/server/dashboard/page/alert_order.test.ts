import { describe, expect, test } from "bun:test";
import type { ViewAlert } from "../../../../core/view/view.ts";
import { alertOrder, fitsFilters, isQuiet } from "./alert_order.ts";

let count = 0;
const alert = (more: Partial<ViewAlert> = {}): ViewAlert => ({
  alert: "A",
  fingerprint: String(++count).padStart(16, "0"),
  severity: "warning",
  labels: {},
  annotations: {},
  value: 1,
  peak: 1,
  total: 1,
  startsAt: "2026-01-01T00:00:00Z",
  endsAt: null,
  exact: true,
  lost: 0,
  evidence: {},
  state: "firing",
  health: false,
  shadow: false,
  silencedBy: [],
  inhibitedBy: [],
  ...more,
});

describe("alerts", () => {
  test("stand in the order in which they matter", () => {
    const sorted = [
      alert({ alert: "critical", severity: "critical" }),
      alert({ alert: "newer", startsAt: "2026-01-02T00:00:00Z" }),
      alert({ alert: "older" }),
      alert({ alert: "quiet", severity: "critical", silencedBy: ["x"] }),
      alert({ alert: "pending", state: "pending", severity: "critical" }),
      alert({ alert: "just over", state: "resolved", endsAt: "2026-01-05T00:00:00Z" }),
      alert({
        alert: "long over",
        state: "resolved",
        severity: "critical",
        endsAt: "2026-01-04T00:00:00Z",
      }),
    ];
    expect([...sorted].reverse().sort(alertOrder).map(({ alert }) => alert))
      .toEqual(sorted.map(({ alert }) => alert));
  });

  test("are quiet where somebody or something keeps them so", () => {
    expect([{}, { silencedBy: ["a"] }, { inhibitedBy: ["a"] }, { shadow: true }]
      .map((more) => isQuiet(alert(more)))).toEqual([false, true, true, true]);
  });
});

describe("a filter", () => {
  const dev = [{ field: "dev", label: "eth0" }];
  const reason = (name: string) => ({ reason: name, class: "fault", means: "", drops: 1 });

  test("means the alerts with that label", () => {
    expect(fitsFilters(alert({ labels: { dev: "eth0" } }), dev)).toBe(true);
    expect(fitsFilters(alert({ labels: { dev: "eth1" } }), dev)).toBe(false);
    expect(
      fitsFilters(alert({ labels: { dev: "eth1" } }), [...dev, { field: "dev", label: "eth1" }]),
    )
      .toBe(true);
    expect(fitsFilters(alert({ labels: { dev: "eth1" } }), [{ field: "dev", label: null }])).toBe(
      true,
    );
  });

  test("means an alert that doesn't tell: it may be about these drops", () => {
    expect(fitsFilters(alert(), dev)).toBe(true);
  });

  test("looks into evidence, as far as that tells all", () => {
    const filters = [{ field: "reason", label: "A" }];
    const of = (...reasons: string[]) => alert({ evidence: { reasons: reasons.map(reason) } });
    expect(fitsFilters(of("A", "B"), filters)).toBe(true);
    expect(fitsFilters(of("B"), filters)).toBe(false);
    expect(fitsFilters(of("B", "C", "D"), filters)).toBe(true);
    const owners = [{ owner: "nginx", pid: "1", drops: 1 }];
    const owner = [{ field: "owner", label: "dnsd" }];
    expect(fitsFilters(alert({ evidence: { owners, ownerKnown: true } }), owner)).toBe(false);
    expect(fitsFilters(alert({ evidence: { owners, ownerKnown: false } }), owner)).toBe(true);
  });
});
