// What a run keeps, so that the next one goes on where it was: alerts at each change of their state, with
// what is to be told of them; keys that `first` has seen and the states of code at each tick; windows and
// the numbers of alerts now and then.
import * as v from "valibot";
import type { AlertData } from "./alert/alert.ts";
import type { Delivery } from "./alert/delivery.ts";
import { reasonOf } from "./error.ts";
import { separator } from "./plan/key.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { Changes, GoneRow, MemoryRow, SavedAlert, StateStore } from "./store.ts";
import { emptyMemory } from "./watch/watch.ts";
import type { ActiveAlert, Transition, WatchMemory } from "./watch/watch.ts";
import { textOf } from "./watch/stream.ts";
import type { KeptWindow } from "./watch/window.ts";

/** Milliseconds between two saves of what changes all the time. */
const saveEvery = 10_000;
/** What all windows together may have for being kept: at a flood they are the larger part by far. */
const mostEntries = 100_000;

const KeptWindowSchema = v.object({
  slots: v.array(v.object({
    at: v.number(),
    missing: v.number(),
    exact: v.boolean(),
    added: v.array(v.object({
      labels: v.array(v.string()),
      n: v.number(),
      sum: v.number(),
      parts: v.optional(v.record(v.string(), v.number())),
    })),
  })),
});

const CodeSchema = v.object({
  state: v.optional(v.object({ version: v.number(), json: v.string() })),
  active: v.boolean(),
  value: v.number(),
});

/** The kinds of rows that watches remember. */
export const memoryKinds = ["window", "last", "seen", "code"] as const;

/** What an earlier run remembered; a row that can't be read is left out and said. */
export function readMemory(
  rows: readonly MemoryRow[],
  log: (message: string) => void,
): WatchMemory {
  const memory = emptyMemory();
  let unreadable = 0;
  for (const { kind, owner, key, data } of rows) {
    try {
      const value: unknown = JSON.parse(data);
      const labels = (): string[] => v.parse(v.array(v.string()), JSON.parse(key));
      switch (kind) {
        case "window":
          memory.keptWindows.set(owner, v.parse(KeptWindowSchema, value) as KeptWindow);
          break;
        case "last": {
          const seen = entry(memory.lastSeen, owner, () => ({
            seen: new Map<string, number>(),
            since: Infinity,
          }));
          seen.seen.set(textOf(labels()), v.parse(v.number(), value));
          break;
        }
        case "seen": {
          const ever = entry(memory.everSeen, owner, () => ({
            since: Infinity,
            texts: new Set<string>(),
            unsaved: [],
          }));
          const since = v.parse(v.number(), value);
          if (key === "") ever.since = since;
          else ever.texts.add(textOf(labels()));
          break;
        }
        case "code":
          entry(memory.code, owner, () => ({ all: new Map(), unsaved: new Set<string>() }))
            .all.set(textOf(labels()), { labels: labels(), ...v.parse(CodeSchema, value) });
          break;
        default:
          unreadable++;
      }
    } catch {
      unreadable++; // Told below.
    }
  }
  if (unreadable > 0) log(`${unreadable} rows of the state can't be read, and are left out`);
  return memory;
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}

/** What there is to be kept. */
export interface Keeping {
  active(): ActiveAlert[];
  /** What was sent of an alert that fires. */
  sent(rule: CheckedRule, labels: Readonly<Record<string, string>>): AlertData | undefined;
  memories(): readonly WatchMemory[];
  /** What is to be told of them, and what was. */
  readonly told: Pick<Delivery, "changes" | "kept">;
}

export interface Keeper {
  /** After a tick; `at` is its time. */
  keep(at: number, transitions: readonly Transition[]): void;
  /** Keeps what is to be told, and what was. */
  keepTold(): void;
  /** Why the state can't be kept; undefined where it can. */
  readonly trouble: string | undefined;
  /** Forgets alerts of an earlier run. */
  forget(alerts: readonly Pick<SavedAlert, "alert" | "labels">[]): void;
}

/** Keeps what a run has; what can't be saved is said, and tried again. */
export function makeKeeper(
  store: StateStore,
  keeping: Keeping,
  say: (kind: string, message: string) => void,
): Keeper {
  let saved = -Infinity;
  let gone: Pick<SavedAlert, "alert" | "labels">[] = [];
  let trouble: string | undefined;
  /** Nothing is kept, or only part of it: all there is, is kept next. */
  let anew = false;
  /** Windows that are in the store. */
  let stored = new Set(
    store.loadMemory(["window"]).map(({ owner }) => owner),
  );
  /** False where it isn't kept; it is tried again with the next. */
  const save = (changes: Changes): boolean => {
    try {
      const told = keeping.told.changes(anew);
      const together: Changes = store.ephemeral ? { events: told.events ?? [] } : {
        ...changes,
        ...told,
        rows: [...changes.rows ?? [], ...told.rows ?? []],
        goneRows: [...changes.goneRows ?? [], ...told.goneRows ?? []],
      };
      if (Object.values(together).some((list) => [...list].length > 0)) store.save(together);
      keeping.told.kept();
      anew = false;
      trouble = undefined;
      return true;
    } catch (thrown) {
      trouble = reasonOf(thrown);
      saved = -Infinity; // What wasn't kept is kept with all others, at the next tick.
      say("state", `the state can't be saved, and is tried again: ${trouble}`);
      if (!renewed(thrown)) return false;
      anew = true;
      stored = new Set();
      keeping.memories().forEach(allUnsaved);
      return false;
    }
  };
  const renewed = (cause: unknown): boolean => {
    try {
      return store.renew(cause);
    } catch (thrown) {
      say("renew", `nor can a new state be made: ${reasonOf(thrown)}`);
      return false;
    }
  };
  return {
    forget(alerts) {
      gone.push(...alerts);
    },
    get trouble() {
      return trouble;
    },
    keepTold: () => void save({}),
    keep(at, transitions) {
      if (store.ephemeral) {
        keeping.memories().forEach(forgetUnsaved);
        return void save({});
      }
      const ended = transitions.filter(({ change }) =>
        change === "resolved" || change === "inactive"
      );
      gone.push(...ended.map(({ rule, labels }) => ({ alert: rule.alert, labels })));
      // Also where the clock was set back.
      const all = Math.abs(at - saved) >= saveEvery;
      const memories = keeping.memories();
      const rows = memories.flatMap(newRows);
      const goneRows = memories.flatMap(goneCode);
      if (all) {
        const windows = windowRows(memories, say);
        rows.push(...windows, ...memories.flatMap(lastRows));
        const kept = new Set(windows.map(({ owner }) => owner));
        for (const owner of stored) {
          if (!kept.has(owner)) goneRows.push({ kind: "window", owner, key: "" });
        }
        stored = kept;
      }
      if (transitions.length + gone.length + rows.length + goneRows.length === 0 && !all) {
        return void save({});
      }
      const changed = new Set(transitions.map(({ rule, labels }) => keyOf(rule, labels)));
      const alerts = keeping.active()
        .filter(({ rule, labels }) => all || changed.has(keyOf(rule, labels)))
        .map(({ rule, labels, state }): SavedAlert => ({
          alert: rule.alert,
          labels,
          state,
          sent: keeping.sent(rule, labels),
        }));
      if (!save({ alerts, goneAlerts: gone, rows, goneRows })) return;
      gone = [];
      if (all) saved = at;
      memories.forEach(forgetUnsaved);
    },
  };
}

/** All that a watch remembers is to be kept. */
function allUnsaved({ everSeen, code }: WatchMemory): void {
  for (const ever of everSeen.values()) ever.unsaved = [...ever.texts];
  for (const { all, unsaved } of code.values()) for (const text of all.keys()) unsaved.add(text);
}

/** What changed is kept, or nobody wants it to be. */
export function forgetUnsaved({ everSeen, code }: WatchMemory): void {
  for (const ever of everSeen.values()) ever.unsaved = [];
  for (const { unsaved } of code.values()) unsaved.clear();
}

function keyOf(rule: CheckedRule, labels: Transition["labels"]): string {
  return JSON.stringify([rule.alert, labels]);
}

const labelsIn = (text: string): string => JSON.stringify(text.split(separator));

/** What `first` has seen, and code has changed, since the last save. */
function newRows(memory: WatchMemory): MemoryRow[] {
  const rows: MemoryRow[] = [];
  for (const [owner, { since, unsaved }] of memory.everSeen) {
    if (unsaved.length > 0) {
      rows.push({ kind: "seen", owner, key: "", data: JSON.stringify(since) });
    }
    for (const text of unsaved) rows.push({ kind: "seen", owner, key: labelsIn(text), data: "0" });
  }
  for (const [owner, { all, unsaved }] of memory.code) {
    for (const text of unsaved) {
      const known = all.get(text);
      if (known === undefined) continue;
      const { state, active, value } = known;
      const data = JSON.stringify({ state, active, value });
      rows.push({ kind: "code", owner, key: JSON.stringify(known.labels), data });
    }
  }
  return rows;
}

function goneCode(memory: WatchMemory): GoneRow[] {
  return [...memory.code].flatMap(([owner, { all, unsaved }]) =>
    [...unsaved].filter((text) => !all.has(text))
      .map((text) => ({ kind: "code", owner, key: labelsIn(text) }))
  );
}

function lastRows(memory: WatchMemory): MemoryRow[] {
  return [...memory.lastSeen].flatMap(([owner, { seen }]) =>
    [...seen].map(([text, at]) => ({
      kind: "last",
      owner,
      key: labelsIn(text),
      data: JSON.stringify(at),
    }))
  );
}

/** The windows, the smallest first, as long as they are few enough. */
function windowRows(
  memories: readonly WatchMemory[],
  say: (kind: string, message: string) => void,
): MemoryRow[] {
  const rows = new Map<string, MemoryRow>();
  let entries = 0;
  const all = memories.flatMap(({ windows }) => [...windows])
    .sort(([, a], [, b]) => a.entries - b.entries);
  for (const [owner, window] of all) {
    if (rows.has(owner)) continue;
    entries += window.entries;
    if (entries > mostEntries) {
      say("windows", "windows are too large to be kept: they begin anew after a restart");
      break;
    }
    rows.set(owner, { kind: "window", owner, key: "", data: JSON.stringify(window.keep()) });
  }
  return [...rows.values()];
}
