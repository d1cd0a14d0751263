// From alerts to what is told: groups, what keeps them quiet, and whether there is something new to say,
// as Alertmanager decides it. Nothing is sent here: what is to be told goes to the outbox.
import * as v from "valibot";
import { printable } from "../error.ts";
import { showNumber } from "../number.ts";
import type { AlertData, AlertMessage } from "./alert.ts";
import { becomesSteady, noFlap, noteChange, remembersChanges } from "./flap.ts";
import type { Flap } from "./flap.ts";
import { makeInhibitor } from "./inhibit.ts";
import type { Journal } from "./journal.ts";
import { makeNotification, worstFirst } from "./notification.ts";
import type { Labels, NotificationReason, Rates } from "./notification.ts";
import type { Outbox } from "./outbox.ts";
import { groupKeyOf, groupLabelsOf, routesFor } from "./route.ts";
import type { Route, Routing } from "./route.ts";
import type { Silencer } from "./silence.ts";
import type { AlertSink, GroupSink, MirrorSink, Sink } from "./sink.ts";
import { isWithin } from "./time_interval.ts";

export interface DispatchOptions {
  readonly routing: Routing;
  readonly sinks: readonly Sink[];
  readonly silencer: Silencer;
  readonly outbox: Pick<Outbox, "put">;
  readonly journal: Journal;
  readonly log: (message: string) => void;
  /** Where people can look. */
  readonly externalURL?: string;
  /** What an alert that fires is at now. */
  readonly current?: (
    fingerprint: string,
  ) => Pick<AlertData, "value" | "peak" | "total"> | undefined;
  /** The rate around an alert, for a picture. */
  readonly rates?: (alert: AlertData, now: number) => Rates | undefined;
  /** How many alerts there may be. */
  readonly limit?: number;
}

/** What is to be kept of it since the last time: rows by their keys, and keys that are gone. */
export interface DispatchChanges {
  readonly notices: readonly { readonly key: string; readonly data: string }[];
  readonly goneNotices: readonly string[];
  readonly groups: readonly {
    readonly owner: string;
    readonly key: string;
    readonly data: string;
  }[];
  readonly goneGroups: readonly { readonly owner: string; readonly key: string }[];
}

export interface Dispatcher {
  /** An alert fires, or is over; `now` in milliseconds since 1970. */
  receive(message: AlertMessage, now: number): void;
  /** Tells what is due. */
  step(now: number): void;
  /** When there may be something due, Infinity where there won't be. */
  nextAt(now: number): number;
  /** Tells what waits for others, or for its next look: the program ends. */
  flush(now: number): void;
  /** What a mirror is to show. */
  mirrored(sink: string, now: number): readonly AlertMessage[];
  /** Takes up what an earlier run has kept; a text that can't be read is left out. */
  restore(
    notices: readonly { readonly key: string; readonly data: string }[],
    groups: readonly { readonly owner: string; readonly key: string; readonly data: string }[],
    now: number,
  ): void;
  /** Takes up an alert that fires, and that all were told of, where it isn't known what was told to whom. */
  adopt(data: AlertData, now: number): void;
  /** The alerts that fire. */
  firing(): AlertData[];
  /** `all`: not only what has changed. */
  changes(all?: boolean): DispatchChanges;
  kept(): void;
  /** What keeps an alert with some labels quiet: silences by id, alerts by fingerprint. */
  quieting(labels: Labels, now: number): Quieting;
  /** Alerts that there was no room for. */
  readonly refused: number;
}

export interface Quieting {
  readonly silencedBy: readonly string[];
  readonly inhibitedBy: readonly string[];
}

/** An alert, and what is known of it here. */
interface Entry {
  message: AlertMessage;
  readonly routes: readonly Route[];
  readonly groups: Set<Group>;
  readonly flap: Flap;
  /** What keeps it quiet, as it was told last. */
  quiet: string;
}

/** Alerts that a sink is told of together. */
interface Group {
  /** Of its sink and its key. */
  readonly id: string;
  readonly sink: AlertSink | GroupSink | MirrorSink;
  /** The routes that lead here: several where they differ in their times alone, or write down all. */
  readonly routes: Route[];
  /** Alertmanager's groupKey; for what writes down what happens the fingerprint of its one alert. */
  readonly key: string;
  readonly labels: Labels;
  readonly alerts: Set<string>;
  /** When it is looked at next. */
  nextAt: number;
  /** When it was told last that something fires; undefined where it never was, or was told that all is over. */
  toldAt: number | undefined;
  /** The alerts that were told as firing. */
  told: Set<string>;
  /** Those that were told as flapping. */
  flapping: Set<string>;
  /** The time that keeps it quiet, as it was noted last. */
  muted: string;
}

/** The key of the one group of a mirror. */
const allKey = "all";
const defaultLimit = 20_000;
/** Evidence is by far the largest part of an alert. */
const mostWithEvidence = 1000;

export function makeDispatcher(options: DispatchOptions): Dispatcher {
  const { routing, silencer, outbox, journal, log, limit = defaultLimit } = options;
  const sinks = new Map(options.sinks.map((sink) => [sink.name, sink]));
  const entries = new Map<string, Entry>();
  const groups = new Map<string, Group>();
  const inhibitor = makeInhibitor(routing.inhibitions);
  /** Alerts that flap, and those that a sink for every change hasn't been told of yet. */
  const flapping = new Set<string>();
  const withheld = new Set<string>();
  /** Alerts that are over and told, of which only is known how often they came and went. */
  const remembered = new Set<string>();
  const changedEntries = new Set<string>();
  const changedGroups = new Set<string>();
  let refused = 0;

  const firesNow = ({ message }: Entry): boolean => message.data.status === "firing";
  /** What people are told: an alert that flaps is held as firing. */
  const firesForPeople = (entry: Entry): boolean =>
    firesNow(entry) || entry.flap.until !== undefined;

  /** What keeps an alert quiet, whoever is to be told. */
  const quietOf = (fingerprint: string, entry: Entry, now: number): boolean => {
    const { labels } = entry.message.data;
    const by = inhibitor.by(labels);
    const silences = by === undefined ? silencer.of(labels, now) : [];
    const quiet = by !== undefined
      ? `inhibited by ${by}`
      : silences.length > 0
      ? `silenced by ${silences.map(({ id }) => id).join(", ")}`
      : "";
    if (quiet !== entry.quiet) {
      const kind = by !== undefined
        ? "inhibited"
        : silences.length > 0
        ? "silenced"
        : "told again" as const;
      const [first] = silences;
      const other = by === undefined ? undefined : entries.get(by)?.message.data.alert;
      const why = first === undefined
        ? other === undefined ? "" : ` (${other} fires)`
        : ` (${printable(first.createdBy)}: ${printable(first.comment)})`;
      const text = quiet === "" ? `no longer ${entry.quiet}` : `${quiet}${why}`;
      journal.note({ at: now, kind, fingerprint, text });
      entry.quiet = quiet;
      changedEntries.add(fingerprint);
    }
    return quiet !== "";
  };

  /** By route, what `mutedBy` said a moment ago: it is asked for each of thousands of alerts. */
  let muted: { readonly at: number; readonly by: Map<Route, string> } = { at: NaN, by: new Map() };
  /** The name of the time at which a route doesn't tell, or of the one at which it would. */
  const mutedBy = (route: Route, now: number): string => {
    if (muted.at !== now) muted = { at: now, by: new Map() };
    let name = muted.by.get(route);
    if (name === undefined) muted.by.set(route, name = muteOf(route, now));
    return name;
  };
  const muteOf = (route: Route, now: number): string => {
    const holds = (name: string): boolean =>
      routing.intervals.get(name)!.some((interval) => isWithin(interval, now));
    const mute = route.mute.find(holds);
    if (mute !== undefined) return mute;
    return route.active.length === 0 || route.active.some(holds)
      ? ""
      : `not ${route.active.join(", ")}`;
  };

  /** The first route to a group that tells at this time; undefined where none does. */
  const openRoute = (group: Group, now: number): Route | undefined => {
    const open = group.routes.find((route) => mutedBy(route, now) === "");
    noteMuted(group, open === undefined ? mutedBy(group.routes[0]!, now) : "", now);
    return open;
  };

  const noteMuted = (group: Group, muted: string, now: number): void => {
    if (muted === group.muted) return;
    group.muted = muted;
    for (const fingerprint of group.alerts) noteMutedAlert(group, fingerprint, now);
  };

  const noteMutedAlert = ({ sink, muted }: Group, fingerprint: string, now: number): void => {
    const kind = muted === "" ? "told again" : "muted";
    const text = muted === "" ? "the time has come" : `at this time: ${muted}`;
    journal.note({ at: now, kind, fingerprint, sink: sink.name, text });
  };

  const dataOf = (fingerprint: string, entry: Entry, forPeople: boolean): AlertData => {
    const { data } = entry.message;
    if (data.status === "firing") {
      const now = options.current?.(fingerprint);
      const fresh = now === undefined ? data : { ...data, ...now };
      return forPeople ? withFlapping(fresh, entry.flap) : fresh;
    }
    if (!forPeople || entry.flap.until === undefined) return data;
    return withFlapping({ ...data, status: "firing", endsAt: null }, entry.flap);
  };

  /** When the last of some alerts changed, ISO 8601; now where there is none. */
  const newest = (fingerprints: readonly string[], now: number): string =>
    fingerprints.map((each) => entries.get(each)!.message.timestamp)
      .reduce((last, at) => at > last ? at : last, "") || new Date(now).toISOString();

  const put = (
    group: Group,
    reason: string,
    fingerprints: readonly string[],
    body: Parameters<Outbox["put"]>[2],
    now: number,
  ): void => {
    const message = outbox.put(group.sink.name, group.key, body);
    for (const fingerprint of fingerprints) {
      const sink = group.sink.name;
      journal.note({ at: now, kind: "queued", fingerprint, message, sink, text: reason });
    }
  };

  const change = (group: Group): void => void changedGroups.add(group.id);

  const leave = (group: Group, fingerprint: string): void => {
    group.alerts.delete(fingerprint);
    group.told.delete(fingerprint);
    group.flapping.delete(fingerprint);
    entries.get(fingerprint)?.groups.delete(group);
    if (group.alerts.size === 0) groups.delete(group.id);
    change(group);
  };

  // --- sinks that write down every change ---

  const tellChange = (group: Group, now: number): void => {
    const fingerprint = group.key;
    const entry = entries.get(fingerprint)!;
    const told = group.told.has(fingerprint);
    const fires = firesNow(entry);
    if (fires === told) return;
    const isMuted = openRoute(group, now) === undefined;
    // Whoever was told of an alert is told of its end, whatever keeps it quiet now.
    if (fires && (isMuted || quietOf(fingerprint, entry, now))) {
      withheld.add(group.id);
      return;
    }
    withheld.delete(group.id);
    group.toldAt = now;
    const alert = { ...entry.message, data: dataOf(fingerprint, entry, false) };
    put(group, fires ? "fires" : "is over", [fingerprint], { is: "alert", alert }, now);
    if (fires) group.told.add(fingerprint);
    change(group);
  };

  // --- sinks that keep a picture of all alerts ---

  const showPicture = (group: Group, now: number): void => {
    group.nextAt = now + (group.sink as MirrorSink).every;
    const fingerprints = [...group.alerts];
    for (const fingerprint of fingerprints) {
      const { message: { data } } = entries.get(fingerprint)!;
      const { keepResolved } = group.sink as MirrorSink;
      const over = data.endsAt !== null && now - Date.parse(data.endsAt) > keepResolved;
      if (over) leave(group, fingerprint);
    }
    if (group.alerts.size === 0) return;
    const fresh = fingerprints.filter((each) => group.alerts.has(each) && !group.told.has(each));
    outbox.put(group.sink.name, group.key, { is: "mirror" });
    for (const fingerprint of fresh) {
      group.told.add(fingerprint);
      const sink = group.sink.name;
      journal.note({ at: now, kind: "queued", fingerprint, sink, text: "in the picture of all" });
    }
    change(group);
  };

  // --- sinks for people ---

  /** Looks at a group: is there something to say? */
  const look = (group: Group, now: number): void => {
    const { alerts, told } = group;
    const sink = group.sink as GroupSink;
    const open = openRoute(group, now);
    const { groupInterval, repeatInterval } = open ?? group.routes[0]!;
    // At a multiple of the interval, however long nobody looked.
    const late = Math.floor((now - group.nextAt) / groupInterval);
    group.nextAt += (late + 1) * groupInterval;
    change(group);
    const over = [...alerts].filter((each) => !firesForPeople(entries.get(each)!));
    // Fired and over before anybody was told: there is nothing to tell.
    for (const each of over) if (!told.has(each)) leave(group, each);
    if (alerts.size === 0 || open === undefined) return;
    const firing = [...alerts].filter((each) => {
      const entry = entries.get(each)!;
      return firesForPeople(entry) && !quietOf(each, entry, now);
    });
    const ended = over.filter((each) => told.has(each));
    const held = firing.filter((each) => entries.get(each)!.flap.until !== undefined);
    const sendResolved = sink.sendResolved ?? true;
    const reason = reasonFor(group, { firing, ended, held, sendResolved, repeatInterval, now });
    if (reason !== undefined && (firing.length > 0 || sendResolved)) {
      const shown = sendResolved ? [...firing, ...ended] : firing;
      const data = shown.map((each) => dataOf(each, entries.get(each)!, true)).sort(worstFirst);
      const notification = makeNotification({
        receiver: sink.name,
        reason,
        timestamp: newest([...firing.filter((each) => !told.has(each)), ...ended], now),
        groupKey: group.key,
        groupLabels: group.labels,
        externalURL: options.externalURL ?? "",
        rates: options.rates?.(data[0]!, now),
      }, data);
      put(group, reason, shown, { is: "notification", notification }, now);
      group.toldAt = now;
      for (const each of firing) {
        told.add(each);
        group.flapping.delete(each);
      }
      for (const each of held) group.flapping.add(each);
    }
    // What is kept quiet may still fire: if it is told again, then as what nobody knows of.
    if (reason === "all alerts resolved") group.toldAt = undefined;
    for (const each of ended) leave(group, each);
  };

  /** In the order of Alertmanager's DedupStage.needsUpdate; what comes and goes is ours. */
  const reasonFor = (
    group: Group,
    { firing, ended, held, sendResolved, repeatInterval, now }: {
      readonly firing: readonly string[];
      readonly ended: readonly string[];
      readonly held: readonly string[];
      readonly sendResolved: boolean;
      readonly repeatInterval: number;
      readonly now: number;
    },
  ): NotificationReason | undefined => {
    if (firing.length === 0) return ended.length > 0 ? "all alerts resolved" : undefined;
    if (group.toldAt === undefined) return "first notification";
    if (firing.some((each) => !group.told.has(each))) return "new alerts in group";
    if (ended.length > 0 && sendResolved) return "new resolved alerts";
    if (held.some((each) => !group.flapping.has(each))) return "alert is flapping";
    const flaps = new Set(held);
    if (firing.some((each) => group.flapping.has(each) && !flaps.has(each))) {
      return "alert is steady";
    }
    return now - group.toldAt >= repeatInterval ? "repeat interval elapsed" : undefined;
  };

  // --- alerts ---

  /** The groups that an alert belongs to, made where they aren't there. */
  const join = (fingerprint: string, entry: Entry, now: number): Group[] => {
    const joined: Group[] = [];
    for (const route of entry.routes) {
      for (const name of route.receivers) {
        const sink = sinks.get(name)!;
        if ("beat" in sink) continue;
        const labels = "notify" in sink ? groupLabelsOf(route, entry.message.data.labels) : {};
        const key = "notify" in sink
          ? groupKeyOf(route, labels)
          : "send" in sink
          ? fingerprint
          : allKey;
        const id = `${name}\n${key}`;
        let group = groups.get(id);
        if (group === undefined) {
          group = makeGroup(id, sink, route, key, labels, now);
          // A capture's time, or a clock that was set, may be ahead of ours.
          const waited = Math.max(0, now - Date.parse(entry.message.timestamp));
          group.nextAt = "notify" in sink ? now + Math.max(0, route.groupWait - waited) : now;
          groups.set(id, group);
        }
        if (!group.routes.includes(route)) group.routes.push(route);
        if (!group.alerts.has(fingerprint)) {
          if ("notify" in sink) {
            const text = `in the group ${key}`;
            journal.note({ at: now, kind: "grouped", fingerprint, sink: name, text });
            openRoute(group, now);
            if (group.muted !== "") noteMutedAlert(group, fingerprint, now);
          }
          group.alerts.add(fingerprint);
          entry.groups.add(group);
          change(group);
        }
        joined.push(group);
      }
    }
    return joined;
  };

  const forget = (fingerprint: string): void => {
    entries.delete(fingerprint);
    flapping.delete(fingerprint);
    remembered.delete(fingerprint);
    changedEntries.add(fingerprint);
  };

  /** Nobody needs to be told of it any more; how often it came and went is remembered for a while. */
  const tidy = (fingerprint: string, entry: Entry, now: number): void => {
    if (firesForPeople(entry) || entry.groups.size > 0) return;
    const { flapping } = routing;
    if (flapping === undefined || !remembersChanges(entry.flap, now, flapping)) {
      return forget(fingerprint);
    }
    if (remembered.has(fingerprint)) return;
    remembered.add(fingerprint);
    entry.message = withoutEvidence(entry.message);
    changedEntries.add(fingerprint);
  };

  /** Whether there is room for one more alert; what is only remembered makes room. */
  const hasRoom = (): boolean => {
    if (entries.size >= limit) {
      for (const each of remembered) forget(each);
    }
    return entries.size < limit;
  };

  const receive = (message: AlertMessage, now: number): void => {
    const { data } = message;
    const { fingerprint, labels } = data;
    const fires = data.status === "firing";
    let entry = entries.get(fingerprint);
    if (entry === undefined) {
      if (!fires) return; // Nobody was told of it.
      if (!hasRoom()) {
        if (refused++ % 1000 === 0) {
          log(`more than ${limit} alerts fire: ${data.alert} and what follows are told to nobody`);
        }
        return;
      }
      const routes = routesFor(routing.root, labels);
      entry = { message, routes, groups: new Set(), flap: noFlap(), quiet: "" };
      entries.set(fingerprint, entry);
    } else if (firesNow(entry) === fires) {
      // The same, said anew: it came about when it did.
      const { timestamp } = entry.message;
      const { evidence } = entry.message.data;
      entry.message = { ...message, timestamp, data: { ...data, evidence } };
      changedEntries.add(fingerprint);
      return;
    }
    entry.message = message;
    remembered.delete(fingerprint);
    changedEntries.add(fingerprint);
    inhibitor.set(fingerprint, labels, fires);
    const text = printable(data.annotations["summary"] ?? "");
    const kind = fires ? "fired" : "resolved";
    const numbers = fires
      ? `value ${showNumber(data.value)}`
      : `peak ${showNumber(data.peak)}, ${showNumber(data.total)} in all`;
    journal.note({ at: now, kind, fingerprint, text: `${data.alert}: ${text} (${numbers})` });
    if (routing.flapping !== undefined && noteChange(entry.flap, now, routing.flapping)) {
      flapping.add(fingerprint);
      const until = new Date(entry.flap.until!).toISOString();
      journal.note({
        at: now,
        kind: "flapping",
        fingerprint,
        text: `held until ${until}, or longer`,
      });
    }
    for (const group of fires ? join(fingerprint, entry, now) : [...entry.groups]) {
      if ("send" in group.sink) {
        tellChange(group, now);
        if (!fires) leave(group, fingerprint);
      } else if ("mirror" in group.sink) {
        group.told.delete(fingerprint);
        group.nextAt = now;
      }
    }
    // Of the first ones it is told again what they are made of; a flood of alerts isn't kept whole.
    if (entries.size > mostWithEvidence) entry.message = withoutEvidence(message);
    tidy(fingerprint, entry, now);
  };

  const step = (now: number): void => {
    for (const fingerprint of flapping) {
      const entry = entries.get(fingerprint)!;
      if (!becomesSteady(entry.flap, now)) continue;
      flapping.delete(fingerprint);
      changedEntries.add(fingerprint);
      const text = `it is ${entry.message.data.status} and has been for long enough`;
      journal.note({ at: now, kind: "steady", fingerprint, text });
    }
    for (const id of withheld) {
      const group = groups.get(id);
      if (group === undefined) withheld.delete(id);
      else tellChange(group, now);
    }
    for (const group of [...groups.values()]) {
      if ("send" in group.sink) continue;
      keepUp(group, now);
      if (group.nextAt > now) continue;
      if ("mirror" in group.sink) showPicture(group, now);
      else look(group, now);
    }
    for (const [fingerprint, entry] of entries) tidy(fingerprint, entry, now);
  };

  return {
    receive,
    step,
    nextAt(now) {
      // What keeps an alert from being told at once may end at any time.
      let next = withheld.size > 0 ? now + 1000 : Infinity;
      for (const fingerprint of flapping) {
        next = Math.min(next, entries.get(fingerprint)!.flap.until ?? Infinity);
      }
      for (const { sink, nextAt } of groups.values()) {
        if (!("send" in sink)) next = Math.min(next, nextAt);
      }
      return next;
    },
    flush(now) {
      for (const group of groups.values()) {
        if ("notify" in group.sink) group.nextAt = Math.min(group.nextAt, now);
      }
      step(now);
    },
    mirrored(sink, now) {
      const shown = [...groups.get(`${sink}\n${allKey}`)?.alerts ?? []];
      return shown.map((each) => [each, entries.get(each)!] as const)
        .filter(([each, entry]) => !firesNow(entry) || !quietOf(each, entry, now))
        .map(([each, entry]) => ({ ...entry.message, data: dataOf(each, entry, false) }));
    },
    restore(notices, rows, now) {
      for (const { key, data } of notices) {
        const kept = readKept(KeptEntrySchema, data);
        if (kept === undefined) continue;
        const { message, flap, quiet } = kept as unknown as KeptEntry;
        const routes = routesFor(routing.root, message.data.labels);
        const known = { ...flap, last: flap.last ?? -Infinity };
        entries.set(key, { message, routes, groups: new Set(), flap: known, quiet });
        if (flap.until !== undefined) flapping.add(key);
        inhibitor.set(key, message.data.labels, message.data.status === "firing");
      }
      const waited = new Map<string, KeptGroup>();
      for (const { owner, key, data } of rows) {
        const id = `${owner}\n${key}`;
        const sink = sinks.get(owner);
        const kept = readKept(KeptGroupSchema, data) as KeptGroup | undefined;
        const told = (kept?.told ?? []).filter((each) => entries.has(each));
        // Its sink is gone, or it had told nothing that is still so: its alerts join again, below.
        if (
          kept === undefined || sink === undefined || "beat" in sink || told.length === 0 ||
          !isGroupOf(sink, key)
        ) {
          changedGroups.add(id);
          if (kept !== undefined) waited.set(id, kept);
          continue;
        }
        const routes = told.flatMap((each) => entries.get(each)!.routes)
          .filter(({ receivers }) => receivers.includes(owner));
        const route = routes.find((each) => key.startsWith(`${each.key}:`)) ?? routes[0] ??
          routing.root;
        const group = makeGroup(id, sink, route, key, kept.labels, now);
        // What it has told it tells the end of, also where alerts take another way now.
        for (const each of told) {
          group.alerts.add(each);
          group.told.add(each);
          entries.get(each)!.groups.add(group);
        }
        for (const each of kept.flapping) if (group.told.has(each)) group.flapping.add(each);
        takeUp(group, kept);
        if ("mirror" in sink) group.nextAt = now;
        groups.set(id, group);
      }
      for (const [fingerprint, entry] of entries) {
        if (!firesForPeople(entry)) continue;
        for (const group of join(fingerprint, entry, now)) {
          if ("send" in group.sink) tellChange(group, now);
          const kept = waited.get(group.id);
          if ("notify" in group.sink && kept !== undefined) takeUp(group, kept);
        }
      }
    },
    adopt(data, now) {
      const { fingerprint, labels } = data;
      if (entries.has(fingerprint)) return;
      const message = { type: "alert.firing", timestamp: data.startsAt, data } as const;
      const routes = routesFor(routing.root, labels);
      const entry = { message, routes, groups: new Set<Group>(), flap: noFlap(), quiet: "" };
      entries.set(fingerprint, entry);
      changedEntries.add(fingerprint);
      inhibitor.set(fingerprint, labels, true);
      for (const group of join(fingerprint, entry, now)) {
        group.told.add(fingerprint);
        group.toldAt = now;
        group.nextAt = "notify" in group.sink ? now + group.routes[0]!.groupInterval : now;
      }
    },
    firing: () => [...entries.values()].filter(firesNow).map(({ message }) => message.data),
    changes(all = false) {
      if (all) {
        for (const each of entries.keys()) changedEntries.add(each);
        for (const each of groups.keys()) changedGroups.add(each);
      }
      const kept = [...changedEntries].filter((each) => entries.has(each));
      const keptGroups = [...changedGroups].flatMap((id) => groups.get(id) ?? []);
      return {
        notices: kept.map((key) => {
          const { message, flap, quiet } = entries.get(key)!;
          return { key, data: JSON.stringify({ message, flap, quiet } satisfies KeptEntry) };
        }),
        goneNotices: [...changedEntries].filter((each) => !entries.has(each)),
        groups: keptGroups.map(({ sink, key, labels, nextAt, toldAt, told, flapping, muted }) => ({
          owner: sink.name,
          key,
          data: JSON.stringify(
            {
              labels,
              nextAt,
              toldAt,
              told: [...told],
              flapping: [...flapping],
              muted,
            } satisfies KeptGroup,
          ),
        })),
        goneGroups: [...changedGroups].filter((id) => !groups.has(id)).map((id) => {
          const at = id.indexOf("\n");
          return { owner: id.slice(0, at), key: id.slice(at + 1) };
        }),
      };
    },
    kept() {
      changedEntries.clear();
      changedGroups.clear();
    },
    quieting: (labels, now) => ({
      silencedBy: silencer.of(labels, now).map(({ id }) => id),
      inhibitedBy: [inhibitor.by(labels) ?? []].flat(),
    }),
    get refused() {
      return refused;
    },
  };
}

interface KeptEntry {
  readonly message: AlertMessage;
  readonly flap: Flap;
  readonly quiet: string;
}

interface KeptGroup {
  readonly labels: Labels;
  readonly nextAt: number;
  readonly toldAt?: number | undefined;
  readonly told: readonly string[];
  readonly flapping: readonly string[];
  readonly muted: string;
}

const texts = v.record(v.string(), v.string());
/** What all rests on; an alert is otherwise as it was written. */
const KeptEntrySchema = v.object({
  message: v.looseObject({
    type: v.picklist(["alert.firing", "alert.resolved"]),
    timestamp: v.string(),
    data: v.looseObject({
      alert: v.string(),
      status: v.picklist(["firing", "resolved"]),
      severity: v.picklist(["critical", "warning", "info"]),
      labels: texts,
      annotations: texts,
      startsAt: v.string(),
      endsAt: v.nullable(v.string()),
      fingerprint: v.string(),
      evidence: v.looseObject({}),
    }),
  }),
  flap: v.object({
    times: v.array(v.number()),
    // JSON has no -Infinity.
    last: v.nullable(v.number()),
    until: v.optional(v.number()),
    quiet: v.number(),
  }),
  quiet: v.string(),
});
const KeptGroupSchema = v.object({
  labels: texts,
  nextAt: v.number(),
  toldAt: v.optional(v.number()),
  told: v.array(v.string()),
  flapping: v.array(v.string()),
  muted: v.string(),
});

/** What a text holds; undefined where it can't be read. */
function readKept<Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
): v.InferOutput<Schema> | undefined {
  try {
    // As it was written: a copy would lack labels of some names.
    const value: unknown = JSON.parse(text);
    return v.is(schema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whatever was kept, and however the clock was set back: no look is further away than a route says. */
function keepUp(group: Group, now: number): void {
  const longest = "mirror" in group.sink ? group.sink.every : Math.max(
    ...group.routes.map(({ groupWait, groupInterval }) => Math.max(groupWait, groupInterval)),
  );
  group.nextAt = Math.min(group.nextAt, now + longest);
  if (group.toldAt !== undefined) group.toldAt = Math.min(group.toldAt, now);
}

/** Whether a group was one of this sort of sink: another sink may have had its name. */
function isGroupOf(sink: Group["sink"], key: string): boolean {
  if ("mirror" in sink) return key === allKey;
  return key !== allKey && "notify" in sink === key.startsWith("{");
}

/** A group goes on where it was. */
function takeUp(group: Group, { nextAt, toldAt, muted }: KeptGroup): void {
  Object.assign(group, { nextAt, toldAt, muted });
}

function makeGroup(
  id: string,
  sink: Group["sink"],
  route: Route,
  key: string,
  labels: Labels,
  now: number,
): Group {
  return {
    id,
    sink,
    routes: [route],
    key,
    labels,
    alerts: new Set(),
    nextAt: now,
    toldAt: undefined,
    told: new Set(),
    flapping: new Set(),
    muted: "",
  };
}

function withoutEvidence(message: AlertMessage): AlertMessage {
  return { ...message, data: { ...message.data, evidence: {} } };
}

/** Says of an alert that it is held. */
function withFlapping(data: AlertData, { until, quiet }: Flap): AlertData {
  if (until === undefined) return data;
  const minutes = Math.ceil(quiet / 60_000);
  const text = `it comes and goes: told again when it has been as it is for ${minutes} min`;
  return { ...data, annotations: { ...data.annotations, flapping: text } };
}
