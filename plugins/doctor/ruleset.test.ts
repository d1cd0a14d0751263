// The rules are such as a user could write, and take no drops but doctor's.
import { expect, test } from "bun:test";
import { ruleText } from "./ruleset.ts";
import { trials } from "./trial.ts";

const namespaces = { a: { inode: 4001 }, b: { inode: 4002 } };
const lineOf = (text: string, reason: string): string =>
  text.split("\n").find((line) => line.includes(`"${reason}"`))!.trim();

test("a rule takes what is sent to its own port, in the namespace where it is dropped", () => {
  const text = ruleText(trials, namespaces, () => true);
  expect(lineOf(text, "QDISC_DROP")).toBe(
    `when: drops.where({"reason":"QDISC_DROP","protocol":"IPv4","l4":"UDP","dport":5006,"netns":4001})` +
      `.by("reason").count("2s").above(0),`,
  );
  expect(lineOf(text, "TCP_LISTEN_OVERFLOW")).toContain(`"l4":"TCP","dport":5005,"netns":4002`);
  expect(text.match(/alert: /g)!.length).toBe(trials.length + 1);
});

test("where packets can't be read it takes what it can tell", () => {
  const known = ["reason", "protocol"];
  const text = ruleText(trials, namespaces, (field) => known.includes(field));
  expect(lineOf(text, "NO_SOCKET")).toContain(`where({"reason":"NO_SOCKET","protocol":"IPv4"})`);
  // Its threshold says that they are ours.
  expect(lineOf(text, "NO_SOCKET")).toContain(".above(900)");
  expect(lineOf(text, "TCP_LISTEN_OVERFLOW")).toContain(".above(90)");
  expect(text).not.toMatch(/netns|dport|owner/);
});
