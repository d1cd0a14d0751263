// The history on disk, in a database of its own beside the state: what is written there often mustn't
// disturb what must not be lost. It may be lost: then the past begins anew.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as v from "valibot";
import { reasonOf } from "../error.ts";
import { isDamaged, moveAway } from "../store.ts";
import { minutesLevel, secondsLevel } from "./history.ts";
import type { Block, History, LevelOptions } from "./history.ts";

export interface HistoryStore {
  /** Hands over what is kept, and keeps what has changed from now on. */
  restore(history: History): void;
  /** Keeps what has changed, where that is due; `at` is the time of a tick. */
  save(history: History, at: number): void;
  close(history: History): void;
}

const schemaVersion = 1;
const schema = `
  CREATE TABLE IF NOT EXISTS block (
    level TEXT NOT NULL,
    number INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (level, number)
  ) STRICT;
`;
/** Milliseconds between two times at which a level is kept. */
const every = { seconds: 10_000, minutes: 60_000 };
/** Of 4 KiB: 256 MiB. */
const mostPages = 65_536;

const Label = v.nullable(v.string());
const Count = v.pipe(v.number(), v.finite(), v.minValue(0));
const BlockSchema: v.GenericSchema<unknown, Block> = v.pipe(
  v.object({
    number: v.pipe(v.number(), v.safeInteger()),
    keys: v.array(v.array(Label)),
    moments: v.array(v.object({
      at: v.number(),
      seconds: Count,
      seen: Count,
      other: Count,
      lost: Count,
      cells: v.array(Count),
    })),
  }),
  v.check(({ keys, moments }) =>
    moments.every(({ cells }) =>
      cells.length % 2 === 0 && cells.every((n, i) => i % 2 === 1 || Object.hasOwn(keys, n))
    )
  ),
);

/** The file in the folder of `--state`. */
export function historyFile(folder: string): string {
  return join(folder, "history.sqlite");
}

function open(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec("PRAGMA busy_timeout = 50; PRAGMA journal_mode = WAL;");
    database.exec("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;");
    database.exec(`PRAGMA max_page_count = ${mostPages}`);
    const found = database.prepare("PRAGMA user_version").get()!["user_version"] as number;
    if (found > schemaVersion) throw new Error(`it is of a later dropwatch (version ${found})`);
    database.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version = ${schemaVersion}; COMMIT;`);
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/**
 * Opens the history in the folder of a state, which is locked already. What can't be read or written is
 * said, and the history goes on in memory.
 */
export function openHistoryStore(folder: string, log: (message: string) => void): HistoryStore {
  const file = historyFile(folder);
  let database: DatabaseSync | undefined;
  /** What is damaged is kept for whoever wants to look at it, and the past begins anew. */
  const beginAnew = (cause: unknown): void => {
    try {
      database?.close();
      database = undefined;
      const to = moveAway(file);
      log(`${file}: the history can't be read (${reasonOf(cause)}): it is now ${to}`);
      database = open(file);
    } catch (thrown) {
      log(`${file}: the history can't be kept: ${reasonOf(thrown)}`);
    }
  };
  try {
    database = open(file);
  } catch (thrown) {
    if (isDamaged(thrown)) beginAnew(thrown);
    else log(`${file}: the history can't be kept: ${reasonOf(thrown)}`);
  }
  const saved = { seconds: -Infinity, minutes: -Infinity };
  let trouble = "";
  const levels: readonly LevelOptions[] = [secondsLevel, minutesLevel];

  const write = (history: History, due: readonly LevelOptions[]): void => {
    if (database === undefined) return;
    const blocks = due.map((level) => ({ level, blocks: unsaved(history, level) }));
    try {
      database.exec("BEGIN IMMEDIATE");
      const put = database.prepare("INSERT OR REPLACE INTO block VALUES (?, ?, ?)");
      const drop = database.prepare("DELETE FROM block WHERE level = ? AND number = ?");
      const forget = database.prepare("DELETE FROM block WHERE level = ? AND number < ?");
      for (const { level, blocks: changed } of blocks) {
        for (const block of changed) {
          // What was of a clock that was set back is gone.
          if (block.moments.length === 0) drop.run(level.name, block.number);
          else put.run(level.name, block.number, JSON.stringify(block));
        }
        forget.run(level.name, newestOf(changed) - level.keep / level.block);
      }
      database.exec("COMMIT");
      for (const { level } of blocks) waiting[level.name] = new Map();
      trouble = "";
    } catch (thrown) {
      try {
        if (database.isTransaction) database.exec("ROLLBACK");
      } catch {
        // The first error says it.
      }
      if (isDamaged(thrown)) return beginAnew(thrown);
      const why = reasonOf(thrown);
      if (why !== trouble) log(`${file}: the history can't be kept, and is tried again: ${why}`);
      trouble = why;
    }
  };
  /** By level and number, what isn't written yet. */
  const waiting = { seconds: new Map<number, Block>(), minutes: new Map<number, Block>() };
  const unsaved = (history: History, { name, keep, block }: LevelOptions): Block[] => {
    for (const each of history.changes(name)) waiting[name].set(each.number, each);
    const newest = newestOf(waiting[name].values());
    for (const number of waiting[name].keys()) {
      if (number < newest - keep / block) waiting[name].delete(number);
    }
    return [...waiting[name].values()];
  };

  const rowsOf = (name: LevelOptions["name"]): string[] => {
    try {
      const select = database?.prepare("SELECT data FROM block WHERE level = ? ORDER BY number");
      return select?.all(name).map(({ data }) => data as string) ?? [];
    } catch (thrown) {
      if (isDamaged(thrown)) beginAnew(thrown);
      else log(`${file}: the history can't be read: ${reasonOf(thrown)}`);
      return [];
    }
  };

  return {
    restore(history) {
      let unreadable = 0;
      for (const { name } of levels) {
        for (const data of rowsOf(name)) {
          try {
            const block = v.parse(BlockSchema, JSON.parse(data));
            const fits = block.keys.every(({ length }) => length === history.fields.length);
            if (fits) history.restore(name, block);
            else unreadable++;
          } catch {
            unreadable++; // Said below.
          }
        }
      }
      history.restored();
      if (unreadable > 0) {
        log(`${file}: ${unreadable} parts of the history are by other fields, and are left out`);
      }
    },
    save(history, at) {
      const due = levels.filter(({ name }) => Math.abs(at - saved[name]) >= every[name]);
      if (due.length === 0) return;
      for (const { name } of due) saved[name] = at;
      write(history, due);
    },
    close(history) {
      write(history, levels);
      database?.close();
      database = undefined;
    },
  };
}

/** The number of the newest block that has anything; 0 where none has. */
function newestOf(blocks: Iterable<Block>): number {
  let newest = 0;
  for (const { number, moments } of blocks) {
    if (moments.length > 0) newest = Math.max(newest, number);
  }
  return newest;
}
