// What happens between the feed and the screen: ticks are counted, keys change what is chosen, and a
// frame is drawn where something has changed, so and so often at most.
import type { FieldName } from "../../core/drop/field.ts";
import { reasonOf } from "../../core/error.ts";
import type { Stacks, ViewAlert, ViewReason, ViewStatus, ViewTick } from "../../core/view/view.ts";
import type { Screen, ScreenListeners } from "./screen.ts";
import { press, selectedRow } from "./choice.ts";
import type { Choice } from "./choice.ts";
import { addPast, addTick, newCounted } from "./counted.ts";
import type { Counted } from "./counted.ts";
import type { Key } from "./key.ts";
import type { Feed, FeedEvent } from "./feed.ts";
import { layOut, pageOf } from "./layout.ts";
import type { Picture } from "./layout.ts";
import { commonest, filterOf, rowsOf, whereOf } from "./row.ts";
import type { Filter, Row } from "./row.ts";

/** Milliseconds between two frames at least, and between two looks at what doesn't come by itself. */
const betweenFrames = 100;
const betweenLooks = 1000;
/** Ticks that are kept while the minute before is asked for. */
const mostEarly = 1000;
/** How long a message stays in the last line. */
const messageStays = 8000;

export interface SessionOptions {
  readonly feed: Feed;
  readonly choice: Choice;
  readonly openScreen: (listeners: ScreenListeners) => Screen;
  /** What ends the session. */
  readonly signal: AbortSignal;
  readonly end: () => void;
}

export interface Session {
  /** Shows a message in the last line for a while. */
  say(message: string): void;
  /** Settles when the screen is closed; rejects with what a part of it threw. */
  readonly ended: Promise<void>;
}

/** In the order of the number keys: who and why before where. */
const rank: readonly FieldName[] = ["reason", "owner", "dev", "site"];

/** The fields of a history in the order in which they are shown. */
export function inOrder(fields: readonly FieldName[]): FieldName[] {
  const rankOf = (field: FieldName): number =>
    rank.includes(field) ? rank.indexOf(field) : rank.length;
  return fields.toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** Opens the screen and shows the feed until the signal, or whoever looks, ends it. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { feed, signal } = options;
  const done = Promise.withResolvers<void>();
  let status: ViewStatus | undefined;
  let fields: readonly FieldName[] = [];
  let counted = newCounted([]);
  /** Ticks that came while the minute before them was asked for. */
  let early: ViewTick[] | undefined;
  /** Whether ticks were missed, so that all is to be begun anew with the minute before now. */
  let missed = false;
  let screen: Screen | undefined;
  let frozen: Counted | undefined;
  let choice = options.choice;
  let alerts: readonly ViewAlert[] = [];
  /** How often they were asked for and answered, and which of these answers is shown. */
  let [alertsAsked, alertsAnswered, alertsKnown] = [0, 0, 0];
  let message = "";
  let messageAt = 0;
  let trouble = "";
  let rows: readonly Row[] = [];
  /** Whether rows must be made anew: ticks and choices change them. */
  let stale = true;
  const stacks = lookUp<Stacks>();
  const reason = lookUp<ViewReason>();

  const fail = (thrown: unknown): void => {
    done.reject(thrown);
    options.end();
  };
  /** What goes wrong far away is said, and asked again at the next look. */
  const asked = (asking: Promise<void>): void =>
    void asking.catch((thrown) => say(reasonOf(thrown))).then(draw);

  const say = (text: string): void => {
    message = text;
    messageAt = Date.now();
    draw();
  };

  const shownCounted = (): Counted => frozen ?? counted;
  const currentRows = (): readonly Row[] => {
    if (stale) rows = rowsOf(shownCounted(), choice);
    stale = false;
    return rows;
  };
  const rowFilters = (): readonly Filter[] => {
    const row = selectedRow(choice, currentRows());
    return row === undefined ? choice.filters : [...choice.filters, filterOf(choice.by, row)];
  };
  const reasonName = (): string | undefined =>
    choice.pane === "reason" ? commonest(shownCounted(), "reason", rowFilters()) : undefined;

  const frame = (): void => {
    if (signal.aborted || screen === undefined) return;
    const name = reasonName();
    const { where, without } = choice.pane === "stack"
      ? whereOf(shownCounted(), rowFilters())
      : { where: {}, without: [] };
    const picture: Picture = {
      status,
      counted: shownCounted(),
      rows: currentRows(),
      choice,
      alerts,
      stacks: stacks.of(JSON.stringify(where)),
      without,
      reasonName: name,
      reason: name === undefined ? undefined : reason.of(name),
      message: Date.now() - messageAt < messageStays ? message : "",
      trouble,
      bars: screen.able.utf8 ? "utf8" : "ascii",
      now: Date.now(),
    };
    screen.draw(layOut(picture, screen.size));
  };

  let last = -Infinity;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const draw = (): void => {
    if (waiting !== undefined) return;
    const wait = Math.max(0, last + betweenFrames - performance.now());
    waiting = setTimeout(() => {
      waiting = undefined;
      last = performance.now();
      try {
        frame();
      } catch (thrown) {
        fail(thrown);
      }
    }, wait);
  };

  const look = (): void => {
    if (choice.pane === "stack" && !choice.paused) {
      const { where } = whereOf(shownCounted(), rowFilters());
      asked(stacks.ask(JSON.stringify(where), () => feed.stacks(where)));
    }
    const name = reasonName();
    if (name !== undefined && reason.of(name) === undefined) {
      asked(reason.ask(name, () => feed.reason(name)));
    }
  };
  const lookAtAlerts = (): void => {
    const order = ++alertsAsked;
    asked(
      feed.alerts().then((found) => {
        // What was asked for later is newer, whichever answer comes first.
        if (order < alertsKnown) return;
        alertsKnown = order;
        alerts = found;
      }).finally(() => alertsAnswered++),
    );
  };
  const areAlertsShown = (): boolean =>
    choice.pane === "alerts" || alerts.some(({ state }) => state === "firing");
  const lookAtStatus = (): void =>
    asked(
      feed.status().then((found) => {
        // Another run: what was counted of the one before is over.
        if (missed || found.instance !== status?.instance) return begin(found);
        status = found;
      }),
    );
  const begin = async (found: ViewStatus): Promise<void> => {
    if (early !== undefined) return;
    early = [];
    missed = false;
    try {
      const begun = newCounted(found.history.fields);
      const past = await feed.past();
      if (past !== undefined) addPast(begun, past);
      // What came meanwhile may be part of the minute before already.
      for (const tick of early) if (tick.at > begun.at) addTick(begun, tick);
      counted = begun;
      frozen = undefined;
      fields = inOrder(found.history.fields);
      choice = {
        ...choice,
        by: choice.by.filter((field) => fields.includes(field)),
        paused: false,
      };
      status = found;
      stale = true;
    } catch (thrown) {
      // The next look at the status tries it again.
      missed = true;
      throw thrown;
    } finally {
      early = undefined;
    }
  };

  const onEvent = (event: FeedEvent): void => {
    switch (event.event) {
      case "tick":
        if (early === undefined) addTick(counted, event.data);
        else if (early.length < mostEarly) early.push(event.data);
        if (frozen === undefined) stale = true;
        break;
      case "alert":
        lookAtAlerts();
        break;
      case "changed":
        if (event.data.what.includes("alerts")) lookAtAlerts();
        if (event.data.what.includes("status")) lookAtStatus();
        break;
      case "cut":
        trouble = event.data.why;
        break;
      case "joined":
        trouble = "";
        if (status !== undefined) lookAtStatus();
        lookAtAlerts();
        break;
      case "missed":
        missed = true;
        lookAtStatus();
        break;
    }
    draw();
  };

  const onKey = (screen: Screen, key: Key): void => {
    const page = pageOf(screen.size, choice, alerts.some(({ state }) => state === "firing"));
    const pressed = press(choice, key, { fields, rows: currentRows(), page });
    if (pressed.effect === "end") return options.end();
    if (pressed.effect === "redraw") screen.forget();
    if (pressed.effect === "suspend" && !screen.suspend()) say("there is no shell to go back to");
    if (pressed.choice.paused !== choice.paused) {
      frozen = pressed.choice.paused ? structuredClone(counted) : undefined;
    }
    if (pressed.choice !== choice) stale = true;
    choice = pressed.choice;
    look();
    draw();
  };

  // First, so that no tick is missed between the minute before and what comes.
  const unsubscribe = feed.subscribe(onEvent);
  try {
    await begin(await feed.status());
  } catch (thrown) {
    unsubscribe();
    throw thrown;
  }
  const looking = setInterval(() => {
    look();
    lookAtStatus();
    // That they begin and end is told; their numbers aren't.
    if (areAlertsShown() && alertsAsked === alertsAnswered) lookAtAlerts();
  }, betweenLooks);
  const close = (): void => {
    clearInterval(looking);
    clearTimeout(waiting);
    unsubscribe();
    screen?.close();
    done.resolve();
  };
  if (signal.aborted) close();
  else {
    signal.addEventListener("abort", close, { once: true });
    screen = options.openScreen({
      onChange: draw,
      onKey(key) {
        try {
          onKey(screen!, key);
        } catch (thrown) {
          fail(thrown);
        }
      },
    });
    lookAtAlerts();
    draw();
  }
  return { say, ended: done.promise };
}

/** The last thing that was looked up, by what it was asked for; of one key one look at a time. */
function lookUp<T>(): {
  of(key: string): T | undefined;
  ask(key: string, asking: () => Promise<T | undefined>): Promise<void>;
} {
  let known: { readonly key: string; readonly found: T | undefined } | undefined;
  let under: string | undefined;
  return {
    of: (key) => known?.key === key ? known.found : undefined,
    async ask(key, asking) {
      if (under === key) return;
      under = key;
      try {
        const found = await asking();
        // Whoever moved on meanwhile has asked for something else.
        if (under === key) known = { key, found };
      } finally {
        if (under === key) under = undefined;
      }
    },
  };
}
