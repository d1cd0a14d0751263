// What is to be delivered, until it is: for each sink its messages, one at a time for a group, tried again
// when they fail. A sink that is down costs one message a group when it is back; one that writes down what
// happens gets all of it, in order. Nothing here waits for another sink.
import { printable, reasonOf } from "../error.ts";
import { plural } from "../number.ts";
import { showDuration } from "../rule/duration.ts";
import type { Happened } from "../watch/health.ts";
import type { AlertMessage } from "./alert.ts";
import type { Clock } from "./clock.ts";
import type { Journal } from "./journal.ts";
import { makeNotification } from "./notification.ts";
import type { Notification } from "./notification.ts";
import { DeliveryError, inWords, newMessageId, timeoutOf, untilAborted } from "./sink.ts";
import type { AlertSink, Delivered, GroupSink, MirrorSink, SendContext } from "./sink.ts";

/** Sinks that have something delivered. */
export type Receiver = AlertSink | GroupSink | MirrorSink;

/** What a message says; that of a mirror is made when it is sent. */
export type Body =
  | { readonly is: "alert"; readonly alert: AlertMessage }
  | { readonly is: "notification"; readonly notification: Notification }
  | { readonly is: "mirror" };

/** A message as it is kept. Times in milliseconds since 1970. */
export interface OutboxRow {
  /** The same over all attempts, also after a restart: `msg_…`. */
  readonly id: string;
  readonly sink: string;
  /** Whose newest state it is: a group's key, or an alert's fingerprint. */
  readonly group: string;
  /** Their order. */
  readonly seq: number;
  readonly state: "pending" | "dead";
  readonly body: Body;
  readonly created: number;
  readonly attempts: number;
  readonly nextAt: number;
  /** Why the last attempt failed; empty before. */
  readonly error: string;
}

type Item = { -readonly [K in keyof OutboxRow]: OutboxRow[K] } & {
  sending: boolean;
  /** Somebody dropped it while it was being sent: it isn't tried again. */
  dropped?: boolean;
};

interface Lane {
  readonly sink: Receiver;
  /** In their order. */
  readonly items: Item[];
  /** By group, what the next message of the group takes the place of unless it is under way. */
  readonly newest: Map<string, Item>;
  readonly underWay: Set<Item>;
  /** What the sink asked to be kept, by group. */
  readonly memos: Map<string, string>;
  tokens: number;
  /** When tokens were counted. */
  refilled: number;
  /** Attempts that failed one after the other. */
  failures: number;
  /** When the first of them did. */
  failingSince: number;
  why: string;
  /** Until when nothing is sent: it asked for that, or has failed too often. */
  closedUntil: number;
  /** Why nothing is sent there any more. */
  disabled: string | undefined;
  /** Since when messages have waited for the rate; undefined where none does. */
  throttledAt: number | undefined;
  /** How many messages were given up because too many wait. */
  overflowed: number;
}

export interface OutboxOptions {
  readonly sinks: readonly Receiver[];
  readonly clock: Clock;
  readonly journal: Journal;
  readonly log: (message: string) => void;
  /** 0 to 1, for the jitter of retries. */
  readonly random?: () => number;
  /** Makes the id of a message. */
  readonly makeId?: () => string;
  /** How many messages of a sink may wait. */
  readonly limit?: number;
  /** What a mirror is to show now. */
  readonly mirrored: (sink: string) => readonly AlertMessage[];
  /** Something changed that is to be kept. */
  readonly onChange: () => void;
}

/** What is to be kept since the last time. */
export interface OutboxChanges {
  readonly rows: readonly OutboxRow[];
  readonly gone: readonly string[];
  /** What sinks asked to be kept; empty where it isn't needed any more. */
  readonly memos: readonly {
    readonly sink: string;
    readonly group: string;
    readonly memo: string;
  }[];
}

export interface Outbox {
  /** A message for a group of a sink; returns its id. What waits there for the same group is replaced. */
  put(sink: string, group: string, body: Body): string;
  /** Takes up what an earlier run has left. */
  restore(rows: readonly OutboxRow[], memos: OutboxChanges["memos"]): void;
  /** Sends what is due. */
  send(): void;
  /** What is to be kept, or `all` there is; `kept` says that it is. */
  changes(all?: boolean): OutboxChanges;
  kept(): void;
  /** All messages, those that are given up too. */
  rows(): OutboxRow[];
  /** Sends one that was given up once more, or one that waits at once; false where there is none. */
  retry(id: string): boolean;
  /** Forgets one; what is being sent isn't tried again. False where there is none. */
  drop(id: string): boolean;
  /** What happened since the last call, and what still is so. */
  take(): Happened[];
  /** Delivers what is due, for at most so many milliseconds, and ends; returns what remains, by sink. */
  close(patience: number): Promise<ReadonlyMap<string, number>>;
}

/** Alerts of ours about a sink that fails. */
const ownAlerts = new Set(["SinkDisabled", "SinkFailing"]);

const firstRetry = 1000;
const longestRetry = 300_000;
/** After so many failures in a row one message at a time is tried, until one gets through. */
const failuresToOpen = 5;
/** How long a message is tried: what is a day old helps nobody. */
const longestLife = 86_400_000;
/** How long a sink has to end an attempt whose signal was aborted, before another one may begin. */
const graceToEnd = 5000;
/** Messages for people that are under way at once, of one sink; what writes down goes one by one. */
const mostInFlight = 4;
const mostDead = 1000;
const mostMemos = 1000;
/** Deliveries of sinks that answer at once, until others get their turn. */
const mostInARow = 200;
/** Between two ticks. */
const mostHappened = 1000;
const defaultLimit = 10_000;

export function makeOutbox(options: OutboxOptions): Outbox {
  const { clock, journal, log, random = Math.random, limit = defaultLimit, onChange } = options;
  const { makeId = newMessageId } = options;
  const lanes = new Map<string, Lane>(
    options.sinks.map((sink) => [sink.name, {
      sink,
      items: [],
      newest: new Map(),
      underWay: new Set(),
      memos: new Map(),
      tokens: sink.rate?.burst ?? Infinity,
      refilled: clock.now(),
      failures: 0,
      failingSince: 0,
      why: "",
      closedUntil: 0,
      disabled: undefined,
      throttledAt: undefined,
      overflowed: 0,
    }]),
  );
  /** Those that were given up, of all sinks, also of sinks that there are no more. */
  let dead: Item[] = [];
  const closing = new AbortController();
  const changed = new Map<string, Item>();
  const gone = new Set<string>();
  let memosChanged = new Map<string, OutboxChanges["memos"][number]>();
  let happened: Happened[] = [];
  const happen = (sink: string, why: string): void => {
    if (happened.length < mostHappened) happened.push({ event: "undelivered", sink, why, n: 1 });
  };
  let seq = 0;
  let inARow = 0;
  let idle = Promise.withResolvers<void>();
  let wake: { readonly at: number; readonly cancel: () => void } | undefined;

  let latest = clock.now();
  /** The time. Where the clock was set back, what waits has no longer to wait for that. */
  const timeNow = (): number => {
    const now = clock.now();
    const back = latest - now;
    latest = now;
    if (back <= 0) return now;
    for (const lane of lanes.values()) {
      lane.closedUntil -= back;
      lane.failingSince -= back;
      if (lane.throttledAt !== undefined) lane.throttledAt -= back;
      for (const item of lane.items) {
        item.created -= back;
        item.nextAt -= back;
      }
    }
    return now;
  };

  const change = (item: Item): void => void changed.set(item.id, item);
  const forget = (item: Item): void => {
    changed.delete(item.id);
    gone.add(item.id);
  };

  const add = (lane: Lane, item: Item): void => {
    lane.items.push(item);
    lane.newest.set(item.group, item);
  };
  const remove = (lane: Lane, item: Item): void => {
    const at = lane.items.indexOf(item);
    if (at >= 0) lane.items.splice(at, 1);
    if (lane.newest.get(item.group) === item) lane.newest.delete(item.group);
  };

  /** It won't be delivered: it is kept for whoever wants to look at it, or to try again. */
  const bury = (lane: Lane | undefined, item: Item, why: string): void => {
    const now = clock.now();
    if (lane !== undefined) remove(lane, item);
    if (item.body.is === "mirror") return forget(item); // The next picture shows the same, and more.
    item.state = "dead";
    item.error = why;
    dead.push(item);
    change(item);
    journal.note({ at: now, kind: "dead", message: item.id, sink: item.sink, text: why });
    log(
      `${item.sink}: ${titleOf(item.body)} was not delivered: ${why}; \`dropwatch outbox\` has it`,
    );
    // That nothing is sent to a sink that is disabled is told already.
    if (lane?.disabled === undefined && !isAboutItself(item)) happen(item.sink, short(why));
    if (dead.length <= mostDead) return;
    const [oldest] = dead.splice(0, 1);
    forget(oldest!);
    log(`more than ${mostDead} messages are given up: the oldest of them is forgotten`);
  };

  const refill = (lane: Lane, now: number): void => {
    const { rate } = lane.sink;
    if (rate === undefined) return;
    const more = Math.max(0, now - lane.refilled) / 1000 * rate.perSecond;
    lane.tokens = Math.min(rate.burst, lane.tokens + more);
    lane.refilled = now;
  };

  const isFull = (lane: Lane): boolean => {
    const most = isOrdered(lane.sink) || lane.failures >= failuresToOpen ? 1 : mostInFlight;
    return lane.underWay.size >= most;
  };

  /** The next message of a sink that may be sent now, but for its rate. */
  const dueOf = (lane: Lane, now: number): Item | undefined => {
    if (now < lane.closedUntil || isFull(lane)) return undefined;
    if (isOrdered(lane.sink)) {
      const [first] = lane.items;
      return first !== undefined && !first.sending && first.nextAt <= now ? first : undefined;
    }
    const busy = new Set([...lane.underWay].map(({ group }) => group));
    return lane.items.find((item) => !item.sending && item.nextAt <= now && !busy.has(item.group));
  };

  /**
   * In its place, as far behind schedule as it was, and with what it had to tell besides. It is as old as
   * what it tells: an outage of days must not end in giving up what is true now.
   */
  const replace = (lane: Lane, before: Item, after: Item): void => {
    after.body = joined(before.body, after.body);
    const { attempts, nextAt, error } = before;
    Object.assign(after, { attempts, nextAt, error });
    remove(lane, after);
    lane.items[lane.items.indexOf(before)] = after;
    lane.newest.set(after.group, after);
    forget(before);
    const text = `by ${after.id}, which tells the newest state`;
    journal.note({
      at: clock.now(),
      kind: "replaced",
      message: before.id,
      sink: before.sink,
      text,
    });
  };

  const throttle = (lane: Lane, now: number): void => {
    if (lane.throttledAt === undefined) {
      lane.throttledAt = now;
      const { perSecond, burst } = lane.sink.rate!;
      log(`${lane.sink.name}: messages wait: it takes ${perSecond} a second, ${burst} at once`);
    }
  };
  const endThrottle = (lane: Lane, now: number): void => {
    if (lane.throttledAt === undefined) return;
    log(
      `${lane.sink.name}: no message waits any more, after ${showDuration(now - lane.throttledAt)}`,
    );
    lane.throttledAt = undefined;
  };

  const send = (): void => {
    if (closing.signal.aborted) return;
    const now = timeNow();
    let next = Infinity;
    for (const lane of lanes.values()) {
      if (lane.disabled !== undefined) continue;
      refill(lane, now);
      let due = dueOf(lane, now);
      for (; due !== undefined && lane.tokens >= 1; due = dueOf(lane, now)) {
        lane.tokens--;
        void deliver(lane, due);
      }
      if (due !== undefined) {
        throttle(lane, now);
        next = Math.min(next, now + (1 - lane.tokens) / lane.sink.rate!.perSecond * 1000);
        continue;
      }
      if (lane.items.every(({ sending }) => sending)) endThrottle(lane, now);
      // What is under way calls again when it is done.
      if (lane.items.length === 0 || isFull(lane)) continue;
      if (lane.closedUntil > now) {
        next = Math.min(next, lane.closedUntil);
        continue;
      }
      let soonest = Infinity;
      for (const { sending, nextAt } of lane.items) {
        if (!sending) soonest = Math.min(soonest, nextAt);
        if (isOrdered(lane.sink)) break;
      }
      if (soonest > now) next = Math.min(next, soonest);
    }
    if (next !== Infinity) wakeAt(Math.max(next, now + 1));
    settle();
  };

  const wakeAt = (at: number): void => {
    if (wake !== undefined && wake.at <= at) return;
    wake?.cancel();
    const cancel = clock.after(at - clock.now(), () => {
      wake = undefined;
      send();
    });
    wake = { at, cancel };
  };

  const isQuiet = (): boolean =>
    [...lanes.values()].every((lane) =>
      lane.underWay.size === 0 &&
      (closing.signal.aborted || lane.disabled !== undefined ||
        dueOf(lane, clock.now()) === undefined)
    );
  const settle = (): void => {
    if (isQuiet()) idle.resolve();
  };

  const deliver = async (lane: Lane, item: Item): Promise<void> => {
    const { sink } = lane;
    item.sending = true;
    lane.underWay.add(item);
    const attempt = new AbortController();
    /** Nobody waits any more for a sink that doesn't look at its signal. */
    const lost = new AbortController();
    const timeout = timeoutOf(sink);
    const late = new DeliveryError(`no answer within ${showDuration(timeout)}`);
    let cancel = clock.after(timeout, () => {
      attempt.abort(late);
      cancel = clock.after(graceToEnd, () => lost.abort(late));
    });
    const signal = AbortSignal.any([closing.signal, attempt.signal]);
    const context = { id: item.id, signal, memo: lane.memos.get(item.group) };
    let failure: unknown;
    let answer: Delivered | void = undefined;
    try {
      const enough = AbortSignal.any([closing.signal, lost.signal]);
      answer = await untilAborted(hand(sink, item.body, context, options.mirrored), enough);
    } catch (thrown) {
      failure = attempt.signal.aborted
        ? late
        : thrown ?? new DeliveryError("it failed without a reason");
    }
    cancel();
    item.sending = false;
    lane.underWay.delete(item);
    if (failure === undefined) succeeded(lane, item, answer ?? {});
    else if (!closing.signal.aborted) failed(lane, item, failure);
    onChange();
    if (closing.signal.aborted) settle();
    else if (++inARow % mostInARow === 0) clock.after(0, send);
    else send();
  };

  /** What a sink wants to know when it tells of the group again, as long as the group lives. */
  const remember = (lane: Lane, { sink, group, body }: Item, memo: string | undefined): void => {
    const over = body.is === "notification" && body.notification.status === "resolved";
    const keep = (group: string, memo: string): void => {
      lane.memos.delete(group);
      if (memo !== "") lane.memos.set(group, memo);
      memosChanged.set(`${sink}\n${group}`, { sink, group, memo });
    };
    if (over ? lane.memos.has(group) : memo !== undefined) keep(group, over ? "" : memo!);
    if (lane.memos.size > mostMemos) keep(lane.memos.keys().next().value!, "");
  };

  const succeeded = (lane: Lane, item: Item, { answer, memo }: Delivered): void => {
    const now = timeNow();
    remove(lane, item);
    forget(item);
    remember(lane, item, inWords(memo));
    if (lane.failures >= failuresToOpen) {
      log(
        `${item.sink}: delivers again, after ${showDuration(now - lane.failingSince)}; ` +
          `${plural(lane.items.length, "message")} left`,
      );
      for (const each of lane.items) each.nextAt = Math.min(each.nextAt, now);
    }
    lane.failures = 0;
    lane.closedUntil = 0;
    if (item.body.is !== "mirror") {
      const text = printable(inWords(answer) ?? "").slice(0, 200);
      journal.note({ at: now, kind: "delivered", message: item.id, sink: item.sink, text });
    }
  };

  const failed = (lane: Lane, item: Item, thrown: unknown): void => {
    const now = timeNow();
    const why = reasonOf(thrown);
    const error = thrown instanceof DeliveryError ? thrown : undefined;
    item.attempts++;
    item.error = why;
    if (item.dropped === true) {
      remove(lane, item);
      return forget(item);
    }
    if (error?.gone === true) return disable(lane, why);
    if (lane.disabled !== undefined) return bury(lane, item, why);
    if (error?.final === true) {
      // It has answered: the message was wrong, not the way there.
      lane.failures = 0;
      return bury(lane, item, why);
    }
    if (now - item.created >= longestLife) {
      return bury(lane, item, `${why} (given up after ${showDuration(now - item.created)})`);
    }
    if (lane.failures === 0) {
      lane.failingSince = now;
      // One outage is one alert, whatever each attempt is answered.
      lane.why = short(why);
    }
    lane.failures++;
    // A receiver may ask for more time, not for less: its clock may be wrong, or its zero a habit.
    const asked = error?.retryAfter ?? 0;
    const failures = Math.min(30, Math.max(item.attempts, lane.failures));
    const most = Math.min(longestRetry, firstRetry * 2 ** failures);
    const pause = Math.max(asked, firstRetry, random() * most);
    item.nextAt = now + pause;
    // What came meanwhile is truer.
    const newest = isOrdered(lane.sink) ? undefined : lane.newest.get(item.group);
    const newer = newest === item ? undefined : newest;
    if (newer !== undefined) replace(lane, item, newer);
    if (asked > 0 || lane.failures >= failuresToOpen) {
      lane.closedUntil = Math.max(lane.closedUntil, now + pause);
    }
    change(newer ?? item);
    const next = `next attempt in ${(pause / 1000).toFixed(1)} s`;
    journal.note({
      at: now,
      kind: "failed",
      message: item.id,
      sink: item.sink,
      text: `${why}; ${next}`,
    });
    log(`${item.sink}: ${titleOf(item.body)}: ${why}; ${next}`);
  };

  const disable = (lane: Lane, why: string): void => {
    lane.disabled = why;
    lane.throttledAt = undefined;
    log(`${lane.sink.name}: nothing is sent there any more: ${why}; a restart tries again`);
    for (const item of [...lane.items]) if (!item.sending) bury(lane, item, why);
  };

  const everything = (): Item[] => [...[...lanes.values()].flatMap(({ items }) => items), ...dead];

  return {
    put(sinkName, group, body) {
      const now = timeNow();
      const lane = lanes.get(sinkName)!;
      const item: Item = {
        id: makeId(),
        sink: sinkName,
        group,
        seq: ++seq,
        state: "pending",
        body,
        created: now,
        attempts: 0,
        nextAt: now,
        error: "",
        sending: false,
      };
      const before = body.is === "alert" ? undefined : lane.newest.get(group);
      if (before === undefined || before.sending) add(lane, item);
      else replace(lane, before, item);
      change(item);
      if (lane.disabled !== undefined) bury(lane, item, lane.disabled);
      else if (lane.items.length > limit) {
        // What is under way stays; the oldest that waits is the least true.
        const oldest = lane.items.find(({ sending }) => !sending)!;
        remove(lane, oldest);
        forget(oldest);
        const text = `the outbox is full: more than ${limit} messages wait`;
        journal.note({ at: now, kind: "dropped", message: oldest.id, sink: sinkName, text });
        if (lane.overflowed++ % 1000 === 0) {
          log(`${sinkName}: ${text}; ${titleOf(oldest.body)} is given up`);
        }
        if (!isAboutItself(item)) happen(sinkName, "outbox full");
      }
      return item.id;
    },
    restore(rows, memos) {
      for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
        seq = Math.max(seq, row.seq);
        const item: Item = { ...row, sending: false };
        const lane = lanes.get(row.sink);
        if (row.state === "dead") dead.push(item);
        else if (lane === undefined) bury(undefined, item, "there is no such sink any more");
        // A sink may tell more than before: what it was to tell then may still be waited for.
        else add(lane, { ...item, nextAt: Math.min(item.nextAt, clock.now()) });
      }
      for (const { sink, group, memo } of memos) lanes.get(sink)?.memos.set(group, memo);
    },
    send,
    changes: (all = false) => ({
      rows: (all ? everything() : [...changed.values()]).filter(({ body }) => body.is !== "mirror")
        .map(rowOf),
      gone: [...gone],
      memos: all
        ? [...lanes].flatMap(([sink, { memos }]) =>
          [...memos].map(([group, memo]) => ({ sink, group, memo }))
        )
        : [...memosChanged.values()],
    }),
    kept() {
      changed.clear();
      gone.clear();
      memosChanged = new Map();
    },
    rows: () => everything().map(rowOf),
    retry(id) {
      const waiting = [...lanes.values()].flatMap(({ items }) => items)
        .find((each) => each.id === id && !each.sending);
      if (waiting !== undefined) {
        waiting.nextAt = clock.now();
        lanes.get(waiting.sink)!.closedUntil = 0;
        change(waiting);
        return true;
      }
      const item = dead.find((each) => each.id === id);
      const lane = item === undefined ? undefined : lanes.get(item.sink);
      if (item === undefined || lane === undefined) return false;
      dead = dead.filter((each) => each !== item);
      Object.assign(item, {
        state: "pending",
        attempts: 0,
        nextAt: clock.now(),
        created: clock.now(),
      });
      lane.disabled = undefined;
      add(lane, item);
      change(item);
      return true;
    },
    drop(id) {
      const lane = [...lanes.values()].find(({ items }) => items.some((each) => each.id === id));
      const item = lane?.items.find((each) => each.id === id) ??
        dead.find((each) => each.id === id);
      if (item === undefined || item.dropped === true) return false;
      if (item.sending) item.dropped = true;
      else {
        if (lane !== undefined) remove(lane, item);
        dead = dead.filter((each) => each !== item);
        forget(item);
      }
      const text = "dropped by hand";
      journal.note({ at: clock.now(), kind: "dropped", message: id, sink: item.sink, text });
      return true;
    },
    take() {
      const taken = happened;
      happened = [];
      for (const { sink: { name: sink }, disabled, failures, throttledAt, why } of lanes.values()) {
        if (disabled !== undefined) {
          taken.push({ event: "sinkDisabled", sink, why: short(disabled), n: 1 });
        } else if (failures >= failuresToOpen) {
          taken.push({ event: "sinkFailing", sink, why, n: 1 });
        }
        if (throttledAt !== undefined) taken.push({ event: "throttled", sink, n: 1 });
      }
      return taken;
    },
    async close(patience) {
      if (patience > 0) {
        idle = Promise.withResolvers();
        send();
        const enough = Promise.withResolvers<void>();
        const cancel = clock.after(patience, enough.resolve);
        await Promise.race([idle.promise, enough.promise]);
        cancel();
      }
      idle = Promise.withResolvers();
      closing.abort(new DeliveryError("dropwatch ends"));
      wake?.cancel();
      settle();
      await idle.promise;
      return new Map(
        [...lanes.values()].map(({ sink: { name }, items }) => [
          name,
          items.filter(({ body }) => body.is !== "mirror").length,
        ]),
      );
    },
  };
}

/**
 * That a sink wasn't told that it isn't told is no news. Nor is it that it wasn't told of what another one
 * wasn't told of: two that refuse everything would tell of each other for ever.
 */
function isAboutItself({ sink, body }: Item): boolean {
  const alerts = body.is === "alert"
    ? [body.alert.data]
    : body.is === "notification"
    ? body.notification.alerts
    : [];
  return alerts.every(({ alert, labels }) =>
    alert === "AlertUndelivered" || ownAlerts.has(alert) && labels["sink"] === sink
  );
}

/** What writes down what happens does so in order. */
function isOrdered(sink: Receiver): boolean {
  return "send" in sink;
}

function rowOf({ sending: _, dropped: __, ...row }: Item): OutboxRow {
  return row;
}

/** A label of an alert of ours must not be a new one with each answer. */
function short(why: string): string {
  return why.replaceAll(/\d{4,}/g, "…").slice(0, 60);
}

/** What a message tells of, in a few words. */
export function titleOf(body: Body): string {
  if (body.is === "alert") return `${body.alert.data.alert} (${body.alert.data.status})`;
  if (body.is === "mirror") return "the picture of all alerts";
  const { alerts: [worst], firing, resolved, status } = body.notification;
  const more = firing + resolved - 1;
  return `${worst?.alert} (${status}${more > 0 ? `, and ${plural(more, "more alert")}` : ""})`;
}

/**
 * The newest state of a group, with those alerts of the one before that are over and nobody has heard
 * of: they are no part of the group any more.
 */
function joined(before: Body, after: Body): Body {
  if (before.is !== "notification" || after.is !== "notification") return after;
  const { notification } = after;
  const told = new Set(notification.alerts.map(({ fingerprint }) => fingerprint));
  const over = before.notification.alerts.filter(({ status, fingerprint }) =>
    status === "resolved" && !told.has(fingerprint)
  );
  if (over.length === 0) return after;
  const both = makeNotification(notification, [...notification.alerts, ...over]);
  const { firing, resolved, truncatedAlerts } = notification;
  return {
    is: "notification",
    notification: {
      ...both,
      firing,
      resolved: resolved + over.length,
      truncatedAlerts: truncatedAlerts + both.truncatedAlerts,
    },
  };
}

function hand(
  sink: Receiver,
  body: Body,
  context: SendContext,
  mirrored: OutboxOptions["mirrored"],
): Promise<Delivered | void> {
  if (body.is === "alert" && "send" in sink) return sink.send(body.alert, context);
  if (body.is === "notification" && "notify" in sink) {
    return sink.notify(body.notification, context);
  }
  if (body.is === "mirror" && "mirror" in sink) return sink.mirror(mirrored(sink.name), context);
  // A sink of this name was of another sort when the message was put here.
  return Promise.reject(new DeliveryError("the sink is of another sort now", { final: true }));
}
