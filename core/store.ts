// What survives a restart and a kill -9, in SQLite under --state: the alerts that are pending or
// firing, and what watches remember. What that is, and when it is kept, is in keep.ts.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as v from "valibot";
import { badState, reasonOf, stateInUse } from "./error.ts";
import type { AlertData } from "./alert/alert.ts";
import type { AlertState } from "./watch/state.ts";

/** An alert as it is kept. */
export interface SavedAlert {
  /** The rule's name. */
  readonly alert: string;
  /** The fields of `by` with their values. */
  readonly labels: Readonly<Record<string, string>>;
  readonly state: Readonly<AlertState>;
  /** What was sent when it fired; absent while it is pending. */
  readonly sent?: AlertData | undefined;
}

/** Something that a watch remembers, as text. */
export interface MemoryRow {
  /** `window`, `seen`, `last`, `code`. */
  readonly kind: string;
  /** Whose it is: a rule, or a stream. */
  readonly owner: string;
  readonly key: string;
  readonly data: string;
}

export type GoneRow = Omit<MemoryRow, "data">;

/** What is kept at once or not at all. */
export interface Changes {
  readonly alerts?: Iterable<SavedAlert>;
  readonly goneAlerts?: Iterable<Pick<SavedAlert, "alert" | "labels">>;
  readonly rows?: Iterable<MemoryRow>;
  readonly goneRows?: Iterable<GoneRow>;
}

export interface StateStore {
  /** The alerts of the run before; a row that can't be read is left out and said. */
  load(): SavedAlert[];
  loadMemory(): MemoryRow[];
  save(changes: Changes): void;
  close(): void;
}

const schemaVersion = 2;
const schema = `
  CREATE TABLE IF NOT EXISTS alert (
    alert TEXT NOT NULL,
    labels TEXT NOT NULL,
    state TEXT NOT NULL,
    sent TEXT,
    PRIMARY KEY (alert, labels)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS memory (
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (kind, owner, key)
  ) STRICT, WITHOUT ROWID;
`;

const Labels = v.record(v.string(), v.string());
const State = v.object({
  state: v.picklist(["pending", "firing"]),
  since: v.number(),
  held: v.number(),
  value: v.number(),
  peak: v.number(),
  total: v.number(),
});
/** Written by us: that it is an alert's data at all is enough. */
const Sent = v.custom<AlertData>((value) =>
  v.is(v.object({ alert: v.string(), fingerprint: v.string(), labels: Labels }), value)
);

/**
 * Opens the folder of `--state`, and makes it where it isn't there. It is locked: two processes can't
 * keep their alerts in the same place.
 *
 * @throws DropwatchError BAD_STATE, STATE_IN_USE.
 */
export function openStore(folder: string, log: (message: string) => void): StateStore {
  const file = join(folder, "dropwatch.sqlite");
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(file);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;");
    database.exec("PRAGMA synchronous = NORMAL; BEGIN EXCLUSIVE;");
    const found = database.prepare("PRAGMA user_version").get()!["user_version"] as number;
    if (found > schemaVersion) throw new Error(`it is of a later dropwatch (version ${found})`);
    database.exec(schema);
    database.exec(`PRAGMA user_version = ${schemaVersion}; COMMIT;`);
  } catch (thrown) {
    database?.close();
    throw /locked|busy/i.test(reasonOf(thrown)) ? stateInUse(folder) : badState(file, thrown);
  }
  return storeIn(database, file, log);
}

/** A store that is gone with its process. */
export function openMemoryStore(): StateStore {
  const database = new DatabaseSync(":memory:");
  database.exec(schema);
  return storeIn(database, "memory", () => {});
}

function storeIn(db: DatabaseSync, file: string, log: (message: string) => void): StateStore {
  const put = db.prepare("INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?)");
  const drop = db.prepare("DELETE FROM alert WHERE alert = ? AND labels = ?");
  const putRow = db.prepare("INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)");
  const dropRow = db.prepare("DELETE FROM memory WHERE kind = ? AND owner = ? AND key = ?");
  return {
    load() {
      const alerts: SavedAlert[] = [];
      for (const row of db.prepare("SELECT * FROM alert").all() as Record<string, unknown>[]) {
        const saved = readRow(row);
        if (saved === undefined) log(`${file}: an alert can't be read, and is left out`);
        else alerts.push(saved);
      }
      return alerts;
    },
    loadMemory: () => db.prepare("SELECT * FROM memory").all() as unknown as MemoryRow[],
    save({ alerts = [], goneAlerts = [], rows = [], goneRows = [] }) {
      db.exec("BEGIN");
      try {
        for (const { kind, owner, key } of goneRows) dropRow.run(kind, owner, key);
        for (const { kind, owner, key, data } of rows) putRow.run(kind, owner, key, data);
        for (const { alert, labels } of goneAlerts) drop.run(alert, keyOf(labels));
        for (const { alert, labels, state, sent } of alerts) {
          const data = sent === undefined ? null : JSON.stringify(sent);
          put.run(alert, keyOf(labels), JSON.stringify(state), data);
        }
        db.exec("COMMIT");
      } catch (thrown) {
        db.exec("ROLLBACK");
        throw thrown;
      }
    },
    close: () => db.close(),
  };
}

/** Equal for equal labels, whatever their order. */
function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1));
}

function readRow(row: Record<string, unknown>): SavedAlert | undefined {
  try {
    const { alert, labels, state, sent } = row as Record<string, string | null>;
    return {
      alert: alert!,
      labels: v.parse(Labels, Object.fromEntries(JSON.parse(labels!))),
      state: v.parse(State, JSON.parse(state!)),
      sent: sent === null ? undefined : v.parse(Sent, JSON.parse(sent!)),
    };
  } catch {
    return undefined; // The caller says so.
  }
}
