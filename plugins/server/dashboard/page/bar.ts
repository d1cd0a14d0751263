// The bar that is always in sight: whether it watches, how many drops there are, and how sure that is.
import type { ViewStatus, ViewTick } from "../../../../core/view/view.ts";
import { byId, make, reconcile, setAttributes, setText } from "./element.ts";
import { bytes, cpu, missing, moment, plural, short, span, whole } from "./words.ts";

export interface Bar {
  status(status: ViewStatus): void;
  tick(tick: ViewTick): void;
  /** There is no connection since a moment; undefined: there is. */
  down(since: number | undefined): void;
  draw(): void;
}

export function makeBar(): Bar {
  const panel = byId("health");
  const toggle = byId<HTMLButtonElement>("health-toggle");
  let status: ViewStatus | undefined;
  let tick: ViewTick | undefined;
  let since: number | undefined;

  toggle.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    setAttributes(toggle, { "aria-expanded": String(!panel.hidden) });
    draw();
  });

  const drawTrouble = (): void => {
    const trouble = byId("trouble");
    const text = since !== undefined
      ? `Disconnected since ${
        moment(since, Date.now())
      }: what you see is from before. Trying again.`
      : status?.trouble !== undefined && status.trouble !== ""
      ? status.trouble
      : tick?.gap ?? "";
    setText(trouble, text);
    trouble.hidden = text === "";
  };

  const draw = (): void => {
    const state = since !== undefined ? "disconnected" : status?.state ?? "connecting";
    const root = byId("state");
    setAttributes(root, { "data-state": state });
    setText(root.querySelector(".state-text")!, state);
    drawTrouble();
    if (tick !== undefined) {
      const rate = tick.gap !== null || tick.seconds <= 0 ? null : tick.seen / tick.seconds;
      setText(byId("rate"), rate === null ? "–" : short(rate));
      setText(byId("last-tick"), moment(tick.at, Date.now()));
      byId("last-tick").title = new Date(tick.at).toISOString();
    }
    if (status === undefined) return;
    const { host, source, sums, lost, cost } = status;
    setText(byId("host"), host);
    setText(byId("source"), source.title === "" ? source.name : source.title);
    if (tick === undefined && status.lastTickAt !== null) {
      const { seen, seconds } = status.recent;
      setText(byId("rate"), seconds > 0 ? short(seen / seconds) : "–");
      setText(byId("last-tick"), moment(Date.parse(status.lastTickAt), Date.now()));
    }
    const { exact, text } = missing(sums, lost);
    const numbers = byId("exact");
    setAttributes(numbers, { "data-exact": String(exact) });
    setText(numbers, text);
    setText(byId("gaps"), lost.gapSeconds > 0 ? `${short(lost.gapSeconds)} s` : "none");
    setAttributes(byId("gaps"), { "data-some": lost.gapSeconds > 0 });
    const all = cost.processes.reduce(
      (sum, each) => ({ cpu: sum.cpu + each.cpu, memory: sum.memory + each.memoryBytes }),
      { cpu: 0, memory: 0 },
    );
    const own = tick?.cost ?? { cpu: all.cpu, memoryBytes: all.memory };
    setText(byId("cost"), `${cpu(own.cpu)} CPU, ${bytes(own.memoryBytes)}`);
    const { probe } = cost;
    setText(
      byId("probe"),
      probe === null || probe.runs === 0
        ? "not measured"
        : `${whole(probe.nanoseconds / probe.runs)} ns a drop`,
    );
    byId("probe").title = probe === null
      ? "the kernel keeps count of it where kernel.bpf_stats_enabled=1"
      : `${whole(probe.runs)} runs`;
    setText(
      byId("version"),
      `dropwatch ${status.version}, since ${moment(Date.parse(status.startedAt), Date.now())}; ` +
        `${whole(sums.seen)} drops seen; sinks: ${status.sinks.join(", ") || "none"}; history ${
          status.history.kept ? "survives a restart" : "is in memory only"
        }`,
    );
    if (!panel.hidden) drawDetails(panel, status);
  };

  return {
    status: (next) => void (status = next),
    tick: (next) => void (tick = next),
    down: (next) => void (since = next),
    draw,
  };
}

interface DetailsTable {
  readonly name: string;
  readonly caption: string;
  readonly rows: readonly DetailsRow[];
}
type DetailsRow = readonly [name: string, value: string, note: string];

/** Each cell changes where it stands, so that a text can be marked while it is counted on. */
function drawDetails(panel: Element, status: ViewStatus): void {
  reconcile(
    panel,
    detailsOf(status),
    ({ name }) => name,
    () => make("table", {}, make("caption"), make("tbody")),
    (table, { caption, rows }) => {
      setText(table.querySelector("caption")!, caption);
      reconcile(
        table.querySelector("tbody")!,
        rows,
        ([name]) => name,
        () =>
          make(
            "tr",
            {},
            make("th", { scope: "row" }),
            make("td", { class: "number" }),
            make("td", { class: "muted" }),
          ),
        (row, texts) => texts.forEach((text, i) => setText(row.children[i]!, text)),
      );
    },
  );
}

function detailsOf({ sums, recent, lost, cost, restarts, startedAt }: ViewStatus): DetailsTable[] {
  const rate = recent.seconds > 0
    ? `${short(recent.seen / recent.seconds)}/s over the last minute`
    : "";
  return [
    {
      name: "drops",
      caption: `Drops since ${moment(Date.parse(startedAt), Date.now())}`,
      rows: [
        ["seen", whole(sums.seen), rate],
        ["counted", whole(sums.counted), "under the right key for every rule that asks"],
        ["other", whole(sums.other), "found no room in a map"],
        ["lost", whole(sums.lost), "the probe wasn't run, or the count never arrived"],
      ],
    },
    {
      name: "missing",
      caption: "What is missing, by stage",
      rows: [
        ["probe", whole(lost.probe), "the kernel didn't run the probe"],
        ["map", whole(lost.map), "a map of the kernel was full"],
        ["output", whole(lost.output), "never arrived from bpftrace"],
        ["window", whole(lost.window), "a rule's window was full"],
        ["unreadable", whole(lost.unreadable), "lines of bpftrace"],
        ["gaps", `${short(lost.gapSeconds)} s`, `nobody counted; ${plural(restarts, "restart")}`],
      ],
    },
    {
      name: "cost",
      caption: "Own cost",
      rows: cost.processes.map(({ name, processes, cpuSeconds, cpu: cores, memoryBytes }) => [
        processes === 1 ? name : `${name} × ${processes}`,
        cpu(cores),
        `${bytes(memoryBytes)}, ${span(cpuSeconds * 1000)} of CPU since the start`,
      ]),
    },
  ];
}
