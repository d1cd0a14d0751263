// A real Alertmanager for a test: on a free port of this machine, with a config and a storage of its own,
// and what it takes and sends, as schemas. Debian's package is 0.25.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import * as v from "valibot";
import { findProgram, testWith, unpackedIn } from "./program.ts";
import type { ProgramTest } from "./program.ts";

const command = findProgram("alertmanager", "prometheus-alertmanager", "alertmanager");

/**
 * The command line that runs it. Debian's reads its templates from /usr/share and nowhere else: where it
 * isn't installed, they are laid over that folder, in a mount namespace of its own.
 */
function commandLine(): [string, ...string[]] {
  const unpacked = unpackedIn("alertmanager");
  if (!command!.startsWith(unpacked)) return [command!];
  const own = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const mount = 'mount -t overlay overlay -o "lowerdir=$1/usr/share:/usr/share" /usr/share';
  const script = `${mount} && shift && exec "$@"`;
  return ["unshare", "--mount", ...own, "sh", "-c", script, "sh", unpacked, command!];
}

/** A test with Alertmanager. */
export const alertmanagerTest: ProgramTest = testWith("Alertmanager", command);

const Texts = v.record(v.string(), v.string());
const Time = v.pipe(v.string(), v.isoTimestamp());

/** An alert as GET /api/v2/alerts has it (gettableAlert in api/v2/openapi.yaml). */
export interface GettableAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly fingerprint: string;
  readonly generatorURL?: string | undefined;
}

const GettableAlerts = v.array(v.object({
  labels: Texts,
  annotations: Texts,
  startsAt: Time,
  endsAt: Time,
  fingerprint: v.string(),
  generatorURL: v.optional(v.string()),
}));

/** The body of Alertmanager's webhook, version 4: exactly this, as the real one sends it. */
export interface WebhookBody {
  readonly receiver: string;
  readonly status: "firing" | "resolved";
  readonly alerts: readonly {
    readonly status: "firing" | "resolved";
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly startsAt: string;
    readonly endsAt: string;
    readonly generatorURL: string;
    readonly fingerprint: string;
  }[];
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly commonLabels: Readonly<Record<string, string>>;
  readonly commonAnnotations: Readonly<Record<string, string>>;
  readonly externalURL: string;
  readonly version: "4";
  readonly groupKey: string;
  readonly truncatedAlerts: number;
}

export const WebhookSchema: v.GenericSchema<unknown, WebhookBody> = v.strictObject({
  receiver: v.string(),
  status: v.picklist(["firing", "resolved"]),
  alerts: v.pipe(
    v.array(v.strictObject({
      status: v.picklist(["firing", "resolved"]),
      labels: Texts,
      annotations: Texts,
      startsAt: Time,
      endsAt: Time,
      generatorURL: v.string(),
      fingerprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
    })),
    v.minLength(1),
  ),
  groupLabels: Texts,
  commonLabels: Texts,
  commonAnnotations: Texts,
  externalURL: v.string(),
  version: v.literal("4"),
  groupKey: v.string(),
  truncatedAlerts: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/** Tells nobody. */
const silent = "route: { receiver: none }\nreceivers: [{ name: none }]\n";

/** A config that posts what it groups to a URL, at once. */
export const tells = (url: string): string =>
  JSON.stringify({
    route: {
      receiver: "hook",
      group_by: ["alertname"],
      group_wait: "1ms",
      group_interval: "200ms",
    },
    receivers: [{ name: "hook", webhook_configs: [{ url, send_resolved: true }] }],
  });

/** One that runs. */
export class Alertmanager {
  #child: ChildProcess | undefined;
  #port = 0;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts one; YAML, or JSON, which is YAML too. */
  static async start(config: string = silent): Promise<Alertmanager> {
    const folder = await mkdtemp(join(tmpdir(), "dropwatch-alertmanager-"));
    await writeFile(join(folder, "config.yml"), config);
    const one = new Alertmanager(folder);
    try {
      await one.run();
      return one;
    } catch (thrown) {
      await one.close();
      throw thrown;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Runs it, on the port that it had before. */
  async run(): Promise<void> {
    const [program, ...before] = commandLine();
    const child = spawn(program, [
      ...before,
      `--config.file=${join(this.#folder, "config.yml")}`,
      `--storage.path=${join(this.#folder, "data")}`,
      "--cluster.listen-address=",
      `--web.listen-address=127.0.0.1:${this.#port}`,
    ], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    let said = "";
    for await (const line of createInterface({ input: child.stderr! })) {
      said += `${line}\n`;
      const port = /Listening on"? address=127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port === undefined) continue;
      this.#port = Number(port);
      break;
    }
    // Read on, or a full pipe would hold it up.
    child.stderr!.resume();
    if (this.#port === 0) throw new Error(`Alertmanager ended:\n${said}`);
    const ready = await fetch(`${this.url}/-/ready`);
    const text = await ready.text();
    if (!ready.ok) throw new Error(`Alertmanager isn't ready: ${text}`);
  }

  /** Ends it at once, as a machine that fails does: what it had in memory is lost. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    this.#child = undefined;
  }

  /** The alerts that it has, by their fingerprints. */
  async alerts(): Promise<Map<string, GettableAlert>> {
    const response = await fetch(`${this.url}/api/v2/alerts`);
    const alerts = v.parse(GettableAlerts, await response.json());
    return new Map(alerts.map((alert) => [alert.fingerprint, alert]));
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
