// A whole run, from rule files to a sink, over drops that a test hands out tick by tick.
import { join } from "node:path";
import type { AlertMessage } from "../core/alert/alert.ts";
import type { Sink } from "../core/alert/sink.ts";
import type { Drop } from "../core/drop/field.ts";
import { runPipeline } from "../core/pipeline.ts";
import type { PipelineOptions, RunSummary } from "../core/pipeline.ts";
import type { Reload } from "../core/reload.ts";
import { dropCounter } from "../core/plan/label.ts";
import type { Plan } from "../core/plan/plan.ts";
import { findRuleFiles, loadRules } from "../core/rule/load.ts";
import type { RuleSet } from "../core/rule/load.ts";
import type { Overrides } from "../core/rule/override.ts";
import type { StateStore } from "../core/store.ts";
import { defineSource } from "../core/watch/source.ts";
import type { Source, SourceRun } from "../core/watch/source.ts";
import { tally } from "../core/watch/tick.ts";
import type { Tick } from "../core/watch/tick.ts";
import type { Transition } from "../core/watch/watch.ts";
import type { View } from "../core/view/view.ts";
import { makeFolder } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { facts, world } from "./world.ts";

/** Drops, and how many of each. */
export type Drops = readonly (readonly [Drop, number])[];

export interface DrivenSource {
  readonly source: Source;
  /** Hands over the drops of a second. */
  second(drops?: Drops, more?: Partial<Tick>): Promise<void>;
  /** The plans that it was given after the first one. */
  readonly plans: Plan[];
  /** Settles when it counts. */
  readonly attached: Promise<void>;
  /** The time of its last tick. */
  readonly at: number;
}

/** A source whose time goes by when the test says so; `replan` decides whether it takes a plan. */
export function drivenSource(
  options: {
    readonly at?: number;
    readonly replan?: ((plan: Plan) => Promise<void> | void) | "none";
  } = {},
): DrivenSource {
  let at = options.at ?? 1_000_000;
  let run: SourceRun | undefined;
  let counter = dropCounter({ counts: [], maps: [], places: [] } as unknown as Plan, world);
  let changed: Plan | undefined;
  const plans: Plan[] = [];
  const attached = Promise.withResolvers<void>();
  const source = defineSource({
    name: "driven",
    facts: () => Promise.resolve(facts),
    async run(given) {
      run = given;
      counter = dropCounter(given.plan, world);
      given.onAttached();
      attached.resolve();
      await new Promise<void>((resolve) =>
        given.signal.aborted ? resolve() : given.signal.addEventListener("abort", () => resolve())
      );
    },
    ...(options.replan === "none" ? {} : {
      async replan(plan: Plan) {
        plans.push(plan);
        if (typeof options.replan === "function") await options.replan(plan);
        changed = plan;
        counter = dropCounter(plan, world);
      },
    }),
  });
  return {
    source,
    plans,
    attached: attached.promise,
    get at() {
      return at;
    },
    async second(drops = [], more = {}) {
      for (const [drop, n] of drops) counter.add(drop, n);
      const { seen, reasons, maps } = counter.take();
      at += 1000;
      await run!.onTick({
        at,
        seconds: 1,
        ...tally(seen, maps, 0),
        reasons,
        maps,
        samples: [],
        unreadable: 0,
        ...(changed === undefined ? {} : { plan: changed }),
        ...more,
      });
    },
  };
}

export interface StartOptions {
  readonly files?: Readonly<Record<string, string>>;
  readonly folder?: Folder;
  readonly driven?: DrivenSource;
  readonly overrides?: Overrides;
  readonly store?: StateStore;
  readonly sinks?: readonly Sink[];
  readonly maxSeries?: number;
  readonly externalLabels?: Readonly<Record<string, string>>;
  readonly onTransition?: PipelineOptions["onTransition"];
  /** Whether somebody looks on; the folder of a state where the history is to be kept. */
  readonly view?: boolean | { readonly by?: readonly string[]; readonly state?: string };
}

export interface Run {
  readonly folder: Folder;
  readonly driven: DrivenSource;
  readonly rules: RuleSet;
  readonly messages: readonly AlertMessage[];
  readonly transitions: readonly Transition[];
  readonly log: readonly string[];
  second: DrivenSource["second"];
  /** Writes a rule file, or removes it where there is no text. */
  save(name: string, text: string | undefined): Promise<void>;
  /** Reads the rules again. */
  readonly reload: () => Promise<void>;
  readonly change: Reload;
  /** What people can look at, where the run was started with `view`. */
  readonly view: View;
  /** The names and states of what sinks were told, of one rule or of all. */
  told(alert?: string): string[];
  stop(): Promise<RunSummary>;
}

/** Starts a run with the rule files in `rules/` of a folder, and waits until it counts. */
export async function startRun(options: StartOptions = {}): Promise<Run> {
  const folder = options.folder ?? await makeFolder();
  const driven = options.driven ?? drivenSource();
  const place = join(folder.path, "rules");
  for (const [name, text] of Object.entries(options.files ?? {})) {
    await folder.write(join("rules", name), text);
  }
  const log: string[] = [];
  const say = (message: string): void => void log.push(message);
  const rules = await loadRules({
    files: options.files === undefined && options.folder === undefined
      ? []
      : await findRuleFiles([place]),
    facts: () => driven.source.facts(),
    interval: 1000,
    log: say,
    overrides: options.overrides,
  });
  for (const error of rules.errors) say(`${error.code} ${error.message}`);
  const messages: AlertMessage[] = [];
  const transitions: Transition[] = [];
  const ending = new AbortController();
  let change: Reload | undefined;
  let view: View | undefined;
  const looking = options.view === true ? {} : options.view;
  const ended = runPipeline({
    source: driven.source,
    rules,
    sinks: options.sinks ?? [{
      name: "test",
      send: (message) => {
        messages.push(message);
        return Promise.resolve();
      },
    }],
    interval: 1000,
    maxKeys: 4096,
    ...(options.maxSeries === undefined ? {} : { maxSeries: options.maxSeries }),
    externalLabels: options.externalLabels,
    signal: ending.signal,
    log: say,
    store: options.store,
    overrides: options.overrides,
    ...(looking === undefined || looking === false
      ? {}
      : { view: { host: "test", ...looking, onView: (shown: View) => void (view = shown) } }),
    onReload: (reload) => void (change = reload),
    onTransition: (transition) => void transitions.push(transition),
  });
  const close = async (): Promise<void> => {
    await rules.host.close();
    if (options.folder === undefined) await folder.remove();
  };
  try {
    await Promise.race([driven.attached, ended]);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    folder,
    driven,
    rules,
    messages,
    transitions,
    log,
    second: driven.second,
    async save(name, text) {
      if (text !== undefined) await folder.write(join("rules", name), text);
      else await (await import("node:fs/promises")).rm(folder.file(join("rules", name)));
    },
    reload: () => change!(() => findRuleFiles([place])),
    change: (find) => change!(find),
    get view() {
      return view!;
    },
    told: (alert) =>
      messages.filter(({ data }) => alert === undefined || data.alert === alert)
        .map(({ data }) => `${data.alert} ${data.status}`),
    async stop() {
      ending.abort();
      try {
        return await ended;
      } finally {
        await close();
      }
    },
  };
}

/** Waits for what comes by itself. */
export async function until(holds: () => boolean, ms = 5000): Promise<void> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not come about: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The source of a rule over closed ports, by destination port; `more` are further keys of it. */
export function ruleText(alert: string, more = "", when = `.count("5s").above(10)`): string {
  return `import { drops, rule } from "dropwatch";
export default rule({
  alert: "${alert}",
  when: drops.where({ reason: "NO_SOCKET" }).by("dport")${when},
  ${more}
});
`;
}

/** The source of a rule of code over the same drops; what it does with them is `code`. */
export function codeText(alert: string, code: string, above = ""): string {
  return `import { drops, rule } from "dropwatch";
${above}
export default rule({
  alert: "${alert}",
  on: drops.where({ reason: "NO_SOCKET" }).by("dport"),
  by: ["dport"],
  ${code}
});
`;
}

/** Drops at a closed port. */
export const closed = (n: number, dport = "53"): Drops => [
  [{ reason: "NO_SOCKET", l4: "UDP", dport }, n],
];
