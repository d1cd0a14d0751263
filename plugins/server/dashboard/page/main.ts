// The dashboard's page. It reads the API that it is served with, and nothing else.
//
// What tests, and people who write user styles, can hold on to:
//
//   #state[data-state]          connecting, watching, starting, down, ended, disconnected
//   #host #source #rate #gaps #cost #probe #last-tick    the facts of the bar
//   #exact[data-exact]          "true" or "false"; its text says what is missing, by stage
//   #trouble                    why nothing is counted, or since when there is no connection
//   #health-toggle → #health    what is missing by stage, and the cost of each process, as tables
//   #announce                   what a screen reader is told: alerts that fire or are over
//   #rule-errors li[data-code]  rules that can't be loaded; [hidden] where there are none
//   #by button[data-by]         the field that the chart tells drops apart by, [aria-pressed]
//   #window button[data-window] 5m 15m 1h 6h 24h 7d, [aria-pressed]; #live: back from a zoom; #pause
//   #filters li[data-filter][data-label]   one filter each (the label `\0` is null), with a button
//   #filters-gone               filters that were left out, since the history isn't kept by their field
//   #chart canvas               the chart; #drops-sum: the sum of its time, and whether it is exact, or
//                               .error: why it can't be read; then #chart[hidden] where what was read
//                               before is of something else, and so #legend-shown, #culprits-shown
//   #legend tr[data-series]     a row a series (its label), or [data-rest]; .legend-now .legend-share
//                               .legend-total are cells; the button in it filters
//   #culprits tr[data-culprit]  a row each; [data-field] are its cells, .culprit-rate, .culprit-total
//   #flame-graph g.frame        the flame graph; #flame-sum, #flame-details, #flame-search,
//                               #flame-reset; #flame-table tr[data-stack] is the same as text
//   #alerts [data-fingerprint]  an alert, with [data-state] pending, firing or resolved,
//                               [data-severity], [data-suppressed]; the link in it opens it
//   #alert[open]                the alert that is looked at, [data-fingerprint]; in it #alert-title,
//                               #alert-silence, #alert-close, #alert-evidence, #alert-timeline li[data-kind]
//   #silence-dialog[open]       .matcher inputs, [name=duration], [name=own], [name=author],
//                               [name=comment], #silence-submit, #silence-error
//   #silences [data-silence]    with [data-state] and, where it isn't over, a button.expire
//   #rules [data-rule]          with [data-state]; .plan is what runs where
//   #outbox [data-message]      with [data-state], button.retry and button.drop
//   [data-reason]               a reason that tells what it means on hover, focus and tap, in #reason-card
//   #login[open]                input[name=token], #login-error
//   #help[open]                 the keys
//   html[data-theme]            light or dark; absent where it is as the system has it (#theme)
import type { Drops, ViewAlert, ViewStatus } from "../../../../core/view/view.ts";
import { makeAlertPanel } from "./alert_panel.ts";
import { makeAlerts } from "./alerts.ts";
import { ask, failureText, whenRefused } from "./api.ts";
import type { Failure } from "./api.ts";
import { makeBar } from "./bar.ts";
import { keyOf } from "./board.ts";
import type { Series } from "./board.ts";
import { makeChart, mostSeries } from "./chart.ts";
import { makeColours, palette, restColour } from "./colour.ts";
import { makeControls } from "./controls.ts";
import { makeCulprits } from "./culprits.ts";
import { byId, keepTelling, makeFrame, setAttributes, setText } from "./element.ts";
import { culpritFields, makeFeed } from "./feed.ts";
import { makeFlame } from "./flame.ts";
import { listenToKeys } from "./keys.ts";
import type { Key } from "./keys.ts";
import { makeLegend } from "./legend.ts";
import { askToken } from "./login.ts";
import {
  firstLook,
  hasFilter,
  keptFilters,
  readLook,
  sections,
  timeWindows,
  toggleFilter,
  windowOf,
  writeLook,
} from "./look.ts";
import type { Filter, Look } from "./look.ts";
import { makeOutbox } from "./outbox.ts";
import { makePolls } from "./polls.ts";
import { makeReasons } from "./reasons.ts";
import { makeRules } from "./rules.ts";
import { makeSilences } from "./silences.ts";
import { pictureOf } from "./stacking.ts";
import type { Picture } from "./stacking.ts";
import { openStream } from "./stream.ts";
import { makeTheme, tint } from "./theme.ts";
import { labelName, moment, plural, span, whole } from "./words.ts";

let look = readLook(location.search);
let status: ViewStatus | undefined;
let fields: readonly string[] = culpritFields;
let instance = "";
/** When the server had counted last, in its own time. */
let serverNow = 0;
/** When the page heard of it last, in the browser's time. */
let heardAt = Date.now();
let isPaused = false;
let picture: Picture | undefined;
let hovered: number | null = null;
let firing = 0;
/** Why the drops that are looked at couldn't be read; undefined where they could. */
let failure: Failure | undefined;

const frame = makeFrame();
const colours = makeColours();
const bar = makeBar();
const reasons = makeReasons(() => {
  frame.ask(drawDrops);
});
const feed = makeFeed(
  (path) => ask<Drops>(path),
  (what) => {
    if (what === "history" || !isPaused) frame.ask(takePicture);
  },
  (next) => {
    failure = next;
    frame.ask(drawDrops);
  },
);
const pick = (filter: Filter): void => go({ filters: toggleFilter(look.filters, filter) });
const pickSeries = ({ key, labels }: Series): void => {
  // Of what is shown: what is asked for may still be on its way.
  const field = feed.shown?.look.by;
  if (key !== "rest" && field !== undefined) pick({ field, label: labels[0] ?? null });
};
const controls = makeControls((change) => go(change), pick);
const chart = makeChart(byId("chart"), {
  hover(step) {
    hovered = step;
    frame.ask(drawLegend);
  },
  pick: pickSeries,
  zoom: (from, to) => go({ zoom: { from, to } }),
});
const legend = makeLegend(reasons, { pick: pickSeries, focus: (key) => chart.focus(key) });
const culprits = makeCulprits(reasons, pick);
const flame = makeFlame(reasons, (shown) => {
  // The same as the chart's, as far as the palette goes.
  const places = colours.of(
    shown.slice(0, palette.length).map((name) => `reason ${keyOf([name])}`),
  );
  return shown.map((_, i) => tint(i < places.length ? palette[places[i]!]! : restColour));
});
const silences = makeSilences(() => panel.again());
const alerts = makeAlerts(
  (fingerprint) => go({ alert: fingerprint }),
  (fingerprint) => writeLook({ ...look, alert: fingerprint }) || "?",
);
const panel = makeAlertPanel(reasons, {
  close: () => go({ alert: "" }),
  silence: (alert) => silences.make(alert),
  open: (fingerprint) => go({ alert: fingerprint }),
  pick(filter) {
    go({ alert: "", filters: hasFilter(look.filters, filter) ? look.filters : [filter] });
  },
  known: (fingerprint) => alerts.get(fingerprint),
  silences: () => silences.all,
  fields: () => fields,
});
const rules = makeRules();
const outbox = makeOutbox();

/** What the chart shows is taken from the numbers once a frame; a pause keeps what was taken. */
function takePicture(): void {
  const { shown } = feed;
  if (shown === undefined) return;
  picture = pictureOf(shown.chart, mostSeries - 1);
  if (failure === undefined || isShown()) culprits.draw(shown);
  drawDrops();
}

function coloursOf({ series, hasRest }: Picture, by: string): string[] {
  const named = hasRest ? series.slice(0, -1) : series;
  const places = colours.of(named.map(({ key }) => `${by} ${key}`));
  const own = places.map((place) => tint(palette[place]!));
  return hasRest ? [...own, tint(restColour)] : own;
}

/** What is shown is of what is asked for. */
function isShown(): boolean {
  return feed.shown !== undefined && dropsOf(feed.shown.look) === dropsOf(look);
}

function dropsOf({ by, window, zoom, filters }: Look): string {
  return JSON.stringify([by, window, zoom, filters]);
}

function drawDrops(): void {
  const { shown } = feed;
  // Under filters that it doesn't fit, what was read before would be wrong.
  const isWrong = failure !== undefined && !isShown();
  for (const id of ["chart", "legend-shown", "culprits-shown"]) byId(id).hidden = isWrong;
  byId("drops-sum").classList.toggle("error", failure !== undefined);
  if (failure !== undefined) setText(byId("drops-sum"), failureText(failure));
  if (isWrong) setText(byId("culprits-sum"), "");
  if (isWrong || picture === undefined || shown === undefined) return;
  const { times } = picture;
  const from = times[0]! * 1000;
  chart.draw(
    picture,
    coloursOf(picture, shown.look.by),
    from,
    from + times.length * shown.chart.step,
  );
  drawLegend();
  if (failure !== undefined) return;
  const { zoom, window } = shown.look;
  const now = Date.now();
  const when = zoom === null
    ? `in the last ${window}`
    : `from ${moment(zoom.from, now)} to ${moment(zoom.to, now)}`;
  const sure = shown.missing > 0
    ? `at least: ${whole(shown.missing)} of all drops are missing in this time`
    : shown.exact
    ? "exact"
    : "nobody counted for a part of it (hatched)";
  setText(
    byId("drops-sum"),
    `${plural(picture.total, "drop")} ${when}, ${sure}${isPaused ? "; paused" : ""}`,
  );
}

function drawLegend(): void {
  const { shown } = feed;
  if (picture === undefined || shown === undefined) return;
  legend.draw(
    picture,
    coloursOf(picture, shown.look.by),
    shown.look.by,
    hovered,
    shown.look.zoom === null,
  );
}

function drawAlerts(): void {
  firing = alerts.draw(look.filters);
  drawTitle();
}

function drawBar(): void {
  bar.draw();
  drawTitle();
}

function drawTitle(): void {
  const title = `${firing > 0 ? `(${firing}) ` : ""}${status?.host ?? ""}: dropwatch`;
  if (status !== undefined && document.title !== title) document.title = title;
}

function drawControls(): void {
  controls.draw(look, fields, isPaused);
}

/** Looks at something else; the URL says what, and the way back leads here. */
function go(change: Partial<Look>, how: "push" | "replace" = "push"): void {
  const next = { ...look, ...change };
  const [before, after] = [writeLook(look), writeLook(next)];
  if (before !== after) {
    const url = after === "" ? location.pathname : after;
    if (how === "push") history.pushState(null, "", url);
    else history.replaceState(null, "", url);
  }
  show(next);
}

function show(next: Look): void {
  const before = look;
  look = next;
  const [old, fresh] = [before, next].map(({ window, zoom, filters }) =>
    JSON.stringify([window, zoom, filters])
  );
  drawControls();
  if (before.filters !== next.filters) byId("filters-gone").hidden = true;
  if (old !== fresh || before.by !== next.by) void feed.load(next);
  if (old !== fresh) void flame.load(next, serverNow || Date.now());
  if (before.filters !== next.filters || before.alert !== next.alert) frame.ask(drawAlerts);
  if (before.alert !== next.alert) panel.open(next.alert);
  if (before.section !== next.section) jump(next.section);
}

function jump(section: string): void {
  const target = section === "" ? byId("main") : byId(section);
  target.scrollIntoView({ block: "start" });
  for (const each of document.querySelectorAll<HTMLElement>("#sections a")) {
    setAttributes(each, { "aria-current": each.dataset.section === section ? "true" : null });
  }
}

async function readStatus(): Promise<void> {
  const answer = await ask<ViewStatus>("/api/v1/status");
  if ("failed" in answer) return;
  const next = answer.value;
  // The page is of another version than what it asks: the next one fits.
  if (status !== undefined && status.version !== next.version) return location.reload();
  status = next;
  learnFields(next.history.fields);
  if (next.lastTickAt !== null) {
    const at = Date.parse(next.lastTickAt);
    serverNow = Math.max(serverNow, at);
    feed.startAt(at);
  }
  bar.status(next);
  frame.ask(drawBar);
}

function learnFields(next: readonly string[]): void {
  feed.fields(next);
  if (next.length === 0) return;
  if (next.join() !== fields.join()) {
    fields = next;
    drawControls();
  }
  const { kept, gone } = keptFilters(look.filters, fields);
  if (gone.length === 0) return;
  go({ filters: kept }, "replace");
  const names = gone.map(({ field, label }) => `${field} ${labelName(field, label)}`);
  const note = byId("filters-gone");
  note.hidden = false;
  setText(
    note,
    `Left out: ${names.join(", ")}. The history isn't kept by ${
      [...new Set(gone.map(({ field }) => field))].join(", ")
    }, so what you see is wider.`,
  );
}

/** How many alerts the stream told of. */
let alertNews = 0;
/** Alerts couldn't be read the last time. */
let areAlertsMissing = false;
async function readAlerts(triesLeft = 3): Promise<void> {
  const before = alertNews;
  const answer = await ask<{ readonly alerts: readonly ViewAlert[] }>("/api/v1/alerts");
  areAlertsMissing = "failed" in answer;
  if ("failed" in answer) {
    setText(byId("alerts-sum"), failureText(answer.failed));
    return;
  }
  // What the stream told of meanwhile may be newer than this: it must not be over and begin again.
  if (before !== alertNews && triesLeft > 0) return readAlerts(triesLeft - 1);
  alerts.set(answer.value.alerts);
  const open = alerts.get(look.alert);
  if (open !== undefined) panel.count(open);
  frame.ask(drawAlerts);
}

let rulesTimer: ReturnType<typeof setTimeout> | undefined;
/** An alert has begun or is over, and so has what its rule does; many do at once. */
function readRulesSoon(): void {
  rulesTimer ??= setTimeout(() => {
    rulesTimer = undefined;
    if (!document.hidden) void rules.load();
  }, 1000);
}

/** Reads all that is shown: at first, and where what was read before is of another time. */
async function readAll(): Promise<void> {
  const drops = readStatus().then(() => {
    if (!fields.includes(look.by)) go({ by: fields[0] ?? firstLook.by }, "replace");
    return feed.load(look);
  });
  await Promise.all([drops, readAlerts(), rules.load(), silences.load()]);
  if (look.alert !== "") panel.open(look.alert);
  await Promise.all([flame.load(look, serverNow || Date.now()), outbox.load(), reasons.load()]);
}

const readers = {
  status: readStatus,
  rules: () => rules.load(),
  silences: () => silences.load(),
  outbox: () => outbox.load(),
  alerts: () => readAlerts(),
} as const;

let isStarted = false;
function readFirst(): void {
  isStarted = true;
  void readAll();
}

const stream = openStream({
  hello(next, nextFields, isResumed) {
    heardAt = Date.now();
    bar.down(undefined);
    learnFields(nextFields);
    // Where the stream goes on where it was, nothing was missed.
    if (isResumed && instance === next) void readStatus();
    else readFirst();
    instance = next;
    frame.ask(drawBar);
  },
  tick(tick) {
    heardAt = Date.now();
    serverNow = tick.at;
    feed.tick(tick);
    bar.tick(tick);
    frame.ask(drawBar);
  },
  alert(alert) {
    heardAt = Date.now();
    alertNews++;
    alerts.put(alert);
    panel.put(alert);
    frame.ask(drawAlerts);
    readRulesSoon();
  },
  changed(what) {
    heardAt = Date.now();
    for (const each of what) void readers[each]?.();
    panel.again();
  },
  reset: () => void readAll(),
  down(since) {
    bar.down(since);
    frame.ask(drawBar);
    // Whether it is there, and only wants to know who asks.
    void readStatus();
  },
});

/** Whether the server waits for a token: until it has it there is nothing to ask. */
function isAsking(): boolean {
  return byId<HTMLDialogElement>("login").open;
}
whenRefused(() => {
  if (isAsking()) return;
  stream.stop();
  askToken(() => stream.again());
});

// A stream that a proxy holds back must not keep the page empty.
setTimeout(() => {
  if (!isStarted && !isAsking()) readFirst();
}, 1500);
void readStatus();

const isSeen = (): boolean => !document.hidden;
const isLive = (): boolean => look.zoom === null && !isPaused;
const poll = makePolls([
  { every: () => document.hidden ? 30_000 : 5000, when: () => true, run: () => void readStatus() },
  // The stream tells of an alert that begins or is over, not of how its numbers grow.
  {
    every: () => 5000,
    when: () => isSeen() && (alerts.isActive || areAlertsMissing),
    run: () => void readAlerts(),
  },
  { every: () => 10_000, when: isSeen, run: () => void rules.load() },
  // What the server has said no to stays a no; all else may work a moment later.
  {
    every: () => 5000,
    when: () => isSeen() && failure !== undefined && failure.status !== 400 && !feed.isLoading,
    run: () => void feed.load(look),
  },
  {
    every: () => 5000,
    when: () => isSeen() && flame.isMissing,
    run: () => void flame.load(look, serverNow || Date.now()),
  },
  {
    every: () => 15_000,
    when: () => isSeen() && isLive() && !flame.isZoomed,
    run: () => void flame.load(look, serverNow || Date.now()),
  },
  // What was added up tick by tick is read again now and then: keys that were small become large.
  {
    every: () => Math.max(60_000, Math.min(300_000, windowOf(look.window).length / 5)),
    when: () => isSeen() && isLive() && isStarted,
    run: () => void feed.load(look),
  },
], Date.now());
setInterval(() => {
  if (isAsking()) return;
  const now = Date.now();
  poll(now);
  if (document.hidden) return;
  const patience = Math.max(20_000, 5 * (status?.interval ?? 1000));
  if (now - heardAt > patience && status?.state === "watching") {
    bar.down(heardAt);
    frame.ask(drawBar);
    heardAt = now;
    stream.again();
  }
}, 1000);

function setPaused(is: boolean): void {
  isPaused = is;
  drawControls();
  frame.ask(is ? drawDrops : takePicture);
}

const theme = makeTheme(() => {
  frame.ask(drawDrops);
  flame.recolour();
});

byId("pause").addEventListener("click", () => setPaused(!isPaused));
for (const each of document.querySelectorAll<HTMLElement>("#sections a")) {
  each.addEventListener("click", (event) => {
    const { ctrlKey, metaKey, shiftKey } = event;
    if (ctrlKey || metaKey || shiftKey) return;
    event.preventDefault();
    const section = each.dataset.section ?? "";
    if (look.section === section) jump(section);
    else go({ section });
  });
}
addEventListener("popstate", () => show(readLook(location.search)));

/** Puts the focus on the next alert of the list, or the one before. */
function walkAlerts(by: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLElement>("#alerts-now .alert-card h3 a")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  links[at === -1 ? 0 : Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
}

listenToKeys([
  {
    key: "b",
    does: "tell apart by the next field",
    run: () => go({ by: fields[(fields.indexOf(look.by) + 1) % fields.length] ?? look.by }),
  },
  ...timeWindows.map(({ name }, i): Key => ({
    key: String(i + 1),
    does: `the last ${name}`,
    run: () => go({ window: name, zoom: null }),
  })),
  { key: "p", does: "pause, or go on", run: () => setPaused(!isPaused) },
  {
    key: "x",
    does: "remove all filters, and leave the zoom",
    run: () => go({ filters: [], zoom: null }),
  },
  { key: "j", does: "next alert (Enter opens it)", run: () => walkAlerts(1) },
  { key: "k", does: "alert before", run: () => walkAlerts(-1) },
  ...([
    ["d", "drops"],
    ["a", "alerts"],
    ["c", "culprits"],
    ["f", "flame"],
    ["r", "rules"],
    ["s", "silences"],
    ["o", "outbox"],
  ] as const).filter(([, section]) => sections.includes(section)).map(([key, section]): Key => ({
    key,
    does: `go to ${section === "flame" ? "stacks" : section}`,
    run: () => {
      if (look.section === section) jump(section);
      else go({ section });
    },
  })),
  { key: "/", does: "search in the stacks", run: () => byId("flame-search").focus() },
  { key: "t", does: "theme: system, light, dark", run: theme.next },
]);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]") === null && look.zoom !== null) go({ zoom: null });
});

keepTelling((at) => {
  const now = Date.now();
  return `${moment(at, now)} (${at > now ? "in " : ""}${span(now - at)}${at > now ? "" : " ago"})`;
});
drawControls();
if (look.section !== "") jump(look.section);
