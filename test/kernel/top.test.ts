// `dropwatch top` on real drops: in lines for scripts, and in a terminal that is driven as by hand.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { startTraffic } from "../traffic/traffic.ts";
import type { Traffic } from "../traffic/traffic.ts";
import { bpftraceBelow, kernelTest, startDropwatch, withBpftrace } from "./machine.ts";
import { openTmux } from "./tmux.ts";
import type { Tmux } from "./tmux.ts";

const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const screenFile = fileURLToPath(new URL("../../cli/top/screen.ts", import.meta.url));
const runtime = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock"] : [];
// A script that lies elsewhere finds the packages only so.
const withConfig = runtime.length === 0
  ? []
  : ["--config", fileURLToPath(new URL("../../deno.json", import.meta.url))];

const token = "the-token-of-this-test-0123456789";
let folder = "";
let terminal: Tmux | undefined;
const holders: Traffic[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dropwatch-test-"));
});
afterEach(async () => {
  for (const holder of holders.splice(0)) await holder.stop();
  await terminal?.close();
  terminal = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** Drops at the socket of a process that is called so, and lives on until the test is over. */
async function refuse(count: number, comm: string, rate?: number): Promise<void> {
  const holder = await startTraffic("socket-filter", { receiverOnly: true, comm });
  holders.push(holder);
  const sender = await startTraffic("socket-filter", {
    senderOnly: true,
    port: holder.ready.port!,
    count,
    comm: "sender",
    ...(rate === undefined ? {} : { rate, batch: 1 }),
  });
  sender.go();
  await sender.done;
}

describe("top --once", () => {
  kernelTest("names the culprit with the exact number", async () => {
    const top = startDropwatch(
      ["top", "--once", "--json", "--duration", "3s", "--where", "owner=culprit", ...withBpftrace],
    );
    await top.attached;
    await refuse(1234, "culprit");
    expect(await top.ended).toBe(0);
    const [row, summary, ...more] = top.out.map((line) => JSON.parse(line));
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      type: "drops",
      data: { labels: { reason: "SOCKET_FILTER", owner: "culprit" }, drops: 1234, share: 1 },
    });
    const { data } = summary;
    expect(row.data.rate).toBeCloseTo(1234 / data.seconds, 0);
    expect(data.seconds).toBeGreaterThan(2.9);
    expect(data).toMatchObject({ drops: 1234, rows: 1, exact: true, other: 0, lost: 0 });
    expect(data.seen).toBe(data.counted);
  });

  kernelTest("is one interval long, and what a pipe gets without being asked", async () => {
    const top = startDropwatch([
      ...["top", "--by", "owner,site,l4", "--sort", "name", "--interval", "2s"],
      ...["--where", "owner=culprit", "--where", "owner=other", ...withBpftrace],
    ]);
    await top.attached;
    await Promise.all([refuse(300, "culprit"), refuse(100, "other")]);
    expect(await top.ended).toBe(0);
    const lines = top.out.map((line) => line.replaceAll(/ +/g, " "));
    expect(lines[0]).toBe("owner site l4 drops drops/s share");
    expect(lines[1]).toMatch(/^culprit udp_queue_rcv_one_skb UDP 300 [\d.]+ 75\.0%$/);
    expect(lines[2]).toMatch(/^other udp_queue_rcv_one_skb UDP 100 [\d.]+ 25\.0%$/);
    expect(lines.at(-1)).toMatch(/^400 drops in [\d.]+s, exact$/);
    expect(top.err.join("\n")).toContain("standard output is no terminal: one look");
  });
});

describe("top --connect", () => {
  kernelTest(
    "shows what a watch counts that runs elsewhere, and its alerts",
    async () => {
      await writeFile(
        join(folder, "refused.ts"),
        `import { drops, rule } from "dropwatch";
       export default rule({
         alert: "Refused",
         when: drops.where({ reason: "SOCKET_FILTER", owner: "culprit" }).count("1m").above(10),
       });`,
      );
      const watch = startDropwatch(
        ["--rules", folder, "--listen", "127.0.0.1:0", ...withBpftrace],
        { env: { DROPWATCH_TOKEN: token } },
      );
      await watch.attached;
      const url = /http:\S+/.exec(watch.err.find((line) => line.includes("http://"))!)![0];
      const args = ["top", "--connect", url, "--json", "--where", "owner=culprit"];
      const denied = startDropwatch(args, { env: { DROPWATCH_TOKEN: "" } });
      denied.attached.catch(() => {});
      expect(await denied.ended).toBe(3);
      expect(denied.err.join("\n")).toContain("it wants a token: --token-file");
      await writeFile(join(folder, "token"), token);
      const withToken = ["--token-file", join(folder, "token")];
      const top = startDropwatch([...args, "--duration", "3s", ...withToken]);
      await top.attached;
      await refuse(777, "culprit");
      expect(await top.ended).toBe(0);
      expect(JSON.parse(top.out[0]!).data).toMatchObject({
        labels: { reason: "SOCKET_FILTER", owner: "culprit" },
        drops: 777,
      });
      // On the screen, with what was counted before.
      const shown = await startTop({
        args: ["--connect", url, ...withToken].join(" "),
        own: false,
      });
      await shown.until("the culprit", (lines) => row(lines, "culprit").includes(" 777 "));
      await shown.until("the alert", has("1 FIRING  Refused"));
      expect(await watch.stop()).toBe(0);
      await shown.until("that it is gone", has("NOT CONNECTED: "));
      await shown.press("q");
      await expectAsBefore(shown, 0);
    },
    90_000,
    "tmux",
  );
});

/** Starts top in a terminal that says something, and waits until it counts. */
async function startTop(
  options: { readonly args?: string; readonly own?: false } = {},
): Promise<Tmux> {
  terminal = await openTmux(100, 30);
  await terminal.line(`stty -a > ${folder}/before; echo what was here before`);
  await terminal.until("the line", (lines) => lines.includes("what was here before"));
  const bpftrace = options.own === false ? [] : [withBpftrace[0], `'${withBpftrace[1]}'`];
  const words = [process.execPath, ...runtime, main, "top", ...bpftrace, options.args ?? ""];
  await terminal.line(`${words.join(" ")}; echo code=$?`);
  // Before it the total is there as well: none, in no time.
  await terminal.until(
    "a first tick",
    (lines) => lines.some((line) => /^\S.* total [\d,.]+\S* in (?!0ms)\d/.test(line)),
  );
  return terminal;
}

/** The screen of before, the settings of before, and a shell that takes commands. */
async function expectAsBefore(shown: Tmux, code: number): Promise<readonly string[]> {
  const lines = await shown.until("the end", (all) => all.includes(`code=${code}`));
  expect(lines).toContain("what was here before");
  expect(lines.some((line) => line.startsWith("dropwatch top"))).toBe(false);
  expect(await shown.ask("alternate_on")).toBe("0");
  expect(await shown.ask("cursor_flag")).toBe("1");
  expect(await shown.ask("wrap_flag")).toBe("1");
  await shown.line(`stty -a > ${folder}/after; echo and after`);
  await shown.until("the shell", (all) => all.includes("and after"));
  expect(await readFile(join(folder, "after"), "utf8"))
    .toBe(await readFile(join(folder, "before"), "utf8"));
  return lines;
}

/** dropwatch itself, below the shell. */
function topBelow(shell: number): number {
  const found = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).find((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]) === shell;
    } catch {
      return false; // It ended while we looked.
    }
  });
  return Number(found);
}

const has = (text: string) => (lines: readonly string[]): boolean =>
  lines.some((line) => line.includes(text));
const row = (lines: readonly string[], name: string): string =>
  (lines.find((line) => line.includes(name)) ?? "").replaceAll(/ +/g, " ").replaceAll(
    /^[> ]+/g,
    "",
  );

describe("top in a terminal", () => {
  kernelTest(
    "shows who it is while it happens, does what keys say, and ends without a trace",
    async () => {
      const top = await startTop();
      const traffic = refuse(2000, "culprit", 250);
      await top.until("a rate", (lines) => /culprit [1-9][\d,.]* /.test(row(lines, "culprit")));

      // Only what belongs to it.
      await top.press("/");
      await top.press("-l", "CULPR");
      await top.until("what is typed", (lines) => lines.at(-1) === "/CULPR_");
      await top.press("Enter");
      await top.until("the filter", has("only /CULPR"));
      await traffic;
      const counted = await top.until(
        "all of it",
        (lines) => row(lines, "culprit").includes(" 2,000 "),
      );
      expect(row(counted, "culprit")).toMatch(/^SOCKET_FILTER culprit /);
      expect(counted[0]).toMatch(/^dropwatch top {2}\S+ {2}Linux /);
      expect(counted[2]).toMatch(/^exact {2}total /);
      expect(counted.filter((line) => /^> | {2}[A-Z_]+ /.test(line)).length).toBe(2);
      expect(row(counted, "in all")).toContain("2,000 in all");
      expect(await top.ask("cursor_flag")).toBe("0");

      // Where in the kernel, while all of it lies in the last minute, and what it means.
      await top.press("d");
      const stack = await top.until(
        "all of its stacks",
        has("stacks of SOCKET_FILTER culprit: 2,000 drops"),
      );
      expect(has("udp_queue_rcv_one_skb")(stack)).toBe(true);
      await top.press("i");
      await top.until("the reason", has("── SOCKET_FILTER"));
      await top.press("i");
      await top.until("no pane", (lines) => !has("──")(lines));

      // Other groups, another order, and into a row.
      await top.press("1");
      await top.until("by owner", has("  owner "));
      await top.press("4");
      await top.until("by owner and site", (lines) => /owner +site /.test(lines[3]!));
      await top.press("s", "s");
      await top.until("by the total", has("TOTAL▼"));
      await top.press("r");
      await top.until("the other way round", has("TOTAL▲"));
      await top.press("Enter");
      await top.until("into the row", has("owner=culprit site=udp_queue_rcv_one_skb"));
      await top.press("Escape");
      await top.press("Escape");
      await top.until("no filter", (lines) => lines.at(-1)!.startsWith("q: end"));
      await top.press("?");
      await top.until("the help", has("any key: back"));
      await top.press("x");
      await top.press("Space");
      await top.until("standing still", has("PAUSED"));

      await top.press("q");
      await expectAsBefore(top, 0);
    },
    90_000,
    "tmux",
  );

  kernelTest(
    "draws itself anew for any size, and nothing is left over",
    async () => {
      const top = await startTop();
      await refuse(100, "culprit");
      await top.until("the culprit", has("culprit"));
      for (const [columns, rows] of [[60, 12], [20, 5], [1, 1], [140, 40], [33, 7], [100, 30]]) {
        await top.resize(columns!, rows!);
        // Every line is one of ours, and of those that there is one of there is one.
        const known = /^(dropwatch top |drops |exact|at least|> | {2}|q: end|q$|$)/;
        const number = (lines: readonly string[], begin: string): number =>
          lines.filter((line) => line.startsWith(begin)).length;
        const lines = await top.until(
          `${columns}x${rows}`,
          (all) =>
            all.length === rows && all.every((line) => known.test(line)) &&
            all.at(-1)!.startsWith("q") && number(all, "q") === 1 &&
            number(all, "drops ") === (rows! > 1 ? 1 : 0) &&
            number(all, "> ") === (rows! > 3 ? 1 : 0),
        );
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns!);
      }
      await top.press("C-c");
      await expectAsBefore(top, 0);
    },
    60_000,
    "tmux",
  );

  kernelTest(
    "gives the terminal back at SIGTERM, and with --duration at the end of it",
    async () => {
      const top = await startTop();
      process.kill(topBelow(top.shell), "SIGTERM");
      await expectAsBefore(top, 0);
      await top.close();
      await expectAsBefore(await startTop({ args: "--duration 8s" }), 0);
    },
    60_000,
    "tmux",
  );

  kernelTest(
    "goes to the shell at Ctrl-Z, and comes back with fg",
    async () => {
      const top = await startTop();
      await top.press("C-z");
      const lines = await top.until("the shell", has("Stopped"));
      expect(lines).toContain("what was here before");
      expect(await top.ask("cursor_flag")).toBe("1");
      await top.line(`stty -a > ${folder}/between; clear`);
      await top.until("a clear screen", (all) => all[0] === "$" && !has("Stopped")(all));
      expect(await readFile(join(folder, "between"), "utf8"))
        .toBe(await readFile(join(folder, "before"), "utf8"));
      await top.line("fg");
      await top.until("it is back", (all) => all[0]!.startsWith("dropwatch top"));
      await refuse(50, "culprit");
      await top.until("it counts", has("culprit"));
      await top.press("q");
      await top.until("the end", (all) => all.findLast((line) => line !== "") === "$");
      expect(await top.ask("cursor_flag")).toBe("1");
      expect(await top.ask("alternate_on")).toBe("0");
    },
    60_000,
    "tmux",
  );

  kernelTest(
    "goes on when bpftrace dies: says so, and prints it again at the end",
    async () => {
      const top = await startTop();
      const [victim] = bpftraceBelow(topBelow(top.shell));
      process.kill(victim!, "SIGKILL");
      await top.until("the message", has("! bpftrace ended"));
      await top.until("the gap", has("nobody counted for"));
      await top.until("that it is over", has("counts again after"));
      await refuse(70, "culprit");
      await top.until("it counts again", (lines) => /culprit .* 70 /.test(row(lines, "culprit")));
      await top.press("q");
      const lines = await expectAsBefore(top, 0);
      expect(has("dropwatch: bpftrace ended")(lines)).toBe(true);
      expect(has("counts again after")(lines)).toBe(true);
    },
    60_000,
    "tmux",
  );

  kernelTest(
    "gives the terminal back when something throws that nobody catches",
    async () => {
      await writeFile(
        join(folder, "crash.ts"),
        `import process from "node:process";
       import { openScreen } from ${JSON.stringify(screenFile)};
       const screen = openScreen({
         input: process.stdin,
         output: process.stdout,
         able: { colour: true, utf8: true },
         onCrash(thrown) {
           console.error("crashed:", thrown.message);
           process.exit(70);
         },
       }, {
         onKey(key) {
           if (key.text === "t") setTimeout(() => { throw new Error("thrown"); }, 1);
           else void Promise.reject(new Error("rejected"));
         },
         onChange() {},
       });
       screen.draw([["dropwatch top"]]);`,
      );
      for (const [key, message] of [["t", "thrown"], ["r", "rejected"]] as const) {
        terminal = await openTmux(80, 24);
        await terminal.line(`stty -a > ${folder}/before; echo what was here before`);
        await terminal.until("the line", (lines) => lines.includes("what was here before"));
        await terminal.line(
          `${
            [process.execPath, ...runtime, ...withConfig].join(" ")
          } ${folder}/crash.ts; echo code=$?`,
        );
        await terminal.until("the screen", ([first]) => first === "dropwatch top");
        await terminal.press(key);
        const lines = await expectAsBefore(terminal, 70);
        expect(lines).toContain(`crashed: ${message}`);
        await terminal.close();
      }
      terminal = undefined;
    },
    60_000,
    "tmux",
  );

  kernelTest(
    "says what it needs where it can't draw, and what to do instead",
    async () => {
      terminal = await openTmux(100, 30);
      const words = [process.execPath, ...runtime, main, "top"].join(" ");
      await terminal.line(`TERM=dumb ${words}; echo code=$?`);
      const dumb = await terminal.until("the end", has("code=2"));
      expect(dumb.join(" ")).toContain("dropwatch top --once");
      await terminal.line(`${words} < /dev/null; echo deaf=$?`);
      const deaf = await terminal.until("the end", has("deaf=2"));
      expect(deaf.join(" ")).toContain("standard input is no terminal");
    },
    60_000,
    "tmux",
  );
});
