// Takes the pictures of the documents: the dashboard and `dropwatch top`, on real drops.
//
//   bun run pictures [--quick]
//
// Packets are dropped in network namespaces of its own, dropwatch watches this kernel with the rules
// that ship, and Chromium and tmux look at it, for five minutes. It writes docs/images/. Nothing else
// should drop packets on this machine meanwhile: the event is the whole machine's. It needs pngquant,
// which makes a picture a third as heavy.
import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { splitLines } from "../core/lines.ts";
import { withNamespaces } from "../plugins/doctor/namespaces.ts";
import type { Namespaces } from "../plugins/doctor/namespaces.ts";
import { launchChromium } from "../test/chromium.ts";
import { startTraffic } from "../test/traffic/traffic.ts";
import type { Traffic, TrafficKind, TrafficOptions } from "../test/traffic/traffic.ts";
import { terminalSvg } from "./terminal_svg.ts";
import type { Screen } from "./terminal_svg.ts";

const main = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
const rules = fileURLToPath(new URL("../rules/", import.meta.url));
const images = fileURLToPath(new URL("../docs/images/", import.meta.url));
const quick = process.argv.includes("--quick");
/** What the pictures may weigh, in bytes. */
const heaviest = 250_000;

/** What loses packets, from a second of the run on; it goes on until the end where no count is given. */
interface Loss {
  readonly from: number;
  readonly kind: TrafficKind;
  readonly options: TrafficOptions & { readonly rate: number };
}

/** A machine on a bad day: full and refusing sockets, a firewall, a flood. */
function losses({ a, b }: Namespaces): readonly Loss[] {
  const inside = { netns: a.netns };
  const at = (seconds: number): number => quick ? seconds / 5 : seconds;
  const over = (seconds: number, rate: number): { rate: number; count: number } => ({
    rate,
    count: Math.round(at(seconds) * rate),
  });
  const firewalled = { ...inside, address: b.v4 };
  return [
    { from: 0, kind: "socket-filter", options: { ...inside, comm: "syncthing", rate: 110 } },
    {
      from: 0,
      kind: "udp",
      options: { ...firewalled, port: 1900, comm: "avahi-daemon", rate: 60 },
    },
    { from: 0, kind: "no-socket", options: { ...firewalled, port: 8125, comm: "app", rate: 45 } },
    {
      from: at(60),
      kind: "socket-rcvbuff",
      options: { ...inside, comm: "statsd", ...over(60, 340) },
    },
    {
      from: at(130),
      kind: "no-socket",
      options: { ...firewalled, port: 27015, comm: "flood", ...over(25, 900) },
    },
    { from: at(165), kind: "socket-rcvbuff", options: { ...inside, comm: "statsd", rate: 420 } },
    { from: at(190), kind: "socket-filter", options: { ...inside, comm: "dhcpcd", rate: 80 } },
  ];
}

function say(text: string): void {
  process.stderr.write(`pictures: ${text}\n`);
}

/** dropwatch on a machine that is called web-3. */
async function startWatch(folder: string): Promise<{ url: string; stop(): Promise<void> }> {
  const child = spawn("unshare", [
    "--uts",
    "sh",
    "-c",
    'hostname web-3 && exec "$@"',
    "sh",
    process.execPath,
    main,
    "watch",
    "--rules",
    rules,
    "--state",
    join(folder, "state"),
    "--listen",
    "127.0.0.1:0",
  ], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  let [url, attached] = ["", false];
  const lines: string[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    void splitLines(child.stderr, (line) => {
      lines.push(line);
      url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0] ?? url;
      attached ||= /: watching /.test(line);
      if (attached && url !== "") resolve();
    });
    void ended.then(() => reject(new Error(lines.join("\n"))));
  });
  await ready;
  return {
    url,
    async stop() {
      child.kill("SIGINT");
      await ended;
    },
  };
}

/** Makes a file of docs/images/, which must not be too heavy for a page. */
async function keep(name: string, content: Uint8Array | string): Promise<void> {
  const file = join(images, name);
  await writeFile(file, content);
  const { size } = await stat(file);
  say(`${name}: ${(size / 1000).toFixed(0)} kB`);
  if (size > heaviest) throw new Error(`${name} has ${size} bytes: at most ${heaviest}`);
}

/** A picture with 256 colours at most. */
function lighter(picture: Uint8Array): Uint8Array {
  const args = ["--quality", "70-100", "--speed", "1", "--strip", "-"];
  const run = spawnSync("pngquant", args, { input: picture, maxBuffer: 10_000_000 });
  if (run.status !== 0) throw new Error(`pngquant: ${run.error ?? run.stderr}`);
  return run.stdout;
}

/** Looks at the dashboard in a window. */
async function open(
  browser: Browser,
  url: string,
  window: { width: number; height: number; scale: number; colours: "light" | "dark" },
): Promise<Page> {
  const { width, height, scale, colours } = window;
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: scale,
    colorScheme: colours,
    locale: "en-GB",
    timezoneId: "UTC",
  });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator("#state[data-state=watching]").waitFor();
  await page.locator("#legend tr[data-series]").first().waitFor();
  await page.locator("#flame-graph g.frame").first().waitFor();
  await sleep(2500); // What came since it was opened is shown, too.
  return page;
}

async function takePictures(browser: Browser, url: string): Promise<void> {
  const wide = { width: 1440, height: 1000, scale: 1.25 };
  for (const colours of ["light", "dark"] as const) {
    const page = await open(browser, url, { ...wide, colours });
    await page.locator("#by button[data-by=owner]").click();
    await page.locator("#legend tr[data-series=statsd]").waitFor();
    await page.mouse.move(0, 0);
    await keep(`dashboard-${colours}.png`, lighter(await page.screenshot()));
    await page.context().close();
  }
  const phone = await open(browser, url, { width: 390, height: 844, scale: 2, colours: "light" });
  await keep("dashboard-phone.png", lighter(await phone.screenshot()));
  await phone.context().close();
  const page = await open(browser, url, { ...wide, colours: "light" });
  await keep("flame-graph.png", lighter(await page.locator("#flame").screenshot()));
  const alert = page.locator("#alerts [data-state=firing]", { hasText: "statsd" }).first();
  await alert.getByRole("link").first().click();
  await page.locator("#alert[open] #alert-evidence").waitFor();
  await keep("alert.png", lighter(await page.locator("#alert").screenshot()));
  await page.context().close();
}

/** What `dropwatch top` shows for some seconds, while keys are pressed. */
async function recordTop(url: string): Promise<string> {
  const size = { columns: 104, rows: 28 };
  const tmux = (...args: string[]): string => {
    const run = spawnSync("tmux", ["-L", `dropwatch-${process.pid}`, "-f", "/dev/null", ...args], {
      encoding: "utf8",
    });
    if (run.status !== 0) throw new Error(`tmux ${args.join(" ")}: ${run.stderr || run.error}`);
    return run.stdout;
  };
  const command = `exec ${process.execPath} ${main} top --connect ${url}`;
  // deno-fmt-ignore
  tmux("new-session", "-d", "-x", String(size.columns), "-y", String(size.rows), "-s", "top",
    `unset NO_COLOR; export COLORTERM=truecolor; ${command}`);
  try {
    const screens: Screen[] = [];
    const look = (): string[] => tmux("capture-pane", "-e", "-p", "-t", "top").split("\n");
    for (let i = 0; i < 100 && !look().join().includes("statsd"); i++) await sleep(100);
    await sleep(2000);
    for (let second = 0; second < 10; second++) {
      if (second === 4) tmux("send-keys", "-t", "top", "Down");
      if (second === 6) tmux("send-keys", "-t", "top", "d");
      screens.push({ lines: look(), seconds: 1 });
      await sleep(1000);
    }
    return terminalSvg(screens, size, "dropwatch top: who loses packets, live in the terminal");
  } finally {
    tmux("kill-server");
  }
}

const folder = await mkdtemp(join(tmpdir(), "dropwatch-pictures-"));
await mkdir(images, { recursive: true });
const traffic: Traffic[] = [];
try {
  await withNamespaces(async (namespaces) => {
    namespaces.nft(
      namespaces.b,
      `table inet filter {
        chain input {
          type filter hook input priority 0
          udp dport 1900 drop
        }
      }`,
    );
    const watch = await startWatch(folder);
    const browser = await launchChromium();
    try {
      const started = performance.now();
      for (const { from, kind, options } of losses(namespaces)) {
        await sleep(Math.max(0, 1000 * from - (performance.now() - started)));
        const each = await startTraffic(kind, { count: 600 * options.rate, ...options });
        each.go();
        traffic.push(each);
        say(`${options.comm} loses ${options.rate} packets a second`);
      }
      await sleep(quick ? 10_000 : 60_000);
      await takePictures(browser, watch.url);
      await keep("top.svg", await recordTop(watch.url));
    } finally {
      await browser.close();
      for (const each of traffic) await each.stop();
      await watch.stop();
    }
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
