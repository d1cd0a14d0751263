// What survives a restart and a kill -9, in SQLite under --state: the alerts that are pending or
// firing, what watches remember, and what is still to be told to whom. What that is, and when it is kept,
// is in keep.ts; what other commands do with it while `watch` runs is in store_beside.ts.
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as v from "valibot";
import { badState, reasonOf, stateInUse } from "./error.ts";
import type { AlertData } from "./alert/alert.ts";
import type { AlertEvent } from "./alert/journal.ts";
import type { Body, OutboxRow } from "./alert/outbox.ts";
import { SilenceSchema } from "./alert/silence.ts";
import type { Silence } from "./alert/silence.ts";
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

/** Something that is remembered, as text. */
export interface MemoryRow {
  /** `window`, `seen`, `last`, `code` of watches; `notice`, `group`, `memo` of what is told. */
  readonly kind: string;
  /** Whose it is: a rule, a stream, or a sink. */
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
  readonly outbox?: Iterable<OutboxRow>;
  readonly goneOutbox?: Iterable<string>;
  readonly events?: Iterable<AlertEvent>;
  readonly silences?: Iterable<Silence>;
}

export interface StateStore {
  /** Whether it is gone with the process. */
  readonly ephemeral: boolean;
  /** The alerts of the run before; a row that can't be read is left out and said. */
  load(): SavedAlert[];
  loadMemory(kinds: readonly string[]): MemoryRow[];
  loadOutbox(): OutboxRow[];
  /** By id, what state the messages are in: what they say isn't read. */
  outboxStates(): ReadonlyMap<string, { readonly state: string; readonly hurried: boolean }>;
  loadSilences(): Silence[];
  /** What became of an alert, as far as it is kept: the oldest first. */
  events(fingerprint: string): AlertEvent[];
  /** Whether another process has changed something since the last call. */
  changedElsewhere(): boolean;
  save(changes: Changes): void;
  /**
   * Where the database is damaged: moves it away and begins a new one; true where it did, and all that
   * is to be kept must be saved again.
   */
  renew(cause: unknown): boolean;
  close(): void;
}

const schemaVersion = 3;
// With row ids: rows are large, and would have to be moved about to lie in the order of their keys.
const schema = `
  CREATE TABLE IF NOT EXISTS alert (
    alert TEXT NOT NULL,
    labels TEXT NOT NULL,
    state TEXT NOT NULL,
    sent TEXT,
    PRIMARY KEY (alert, labels)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS memory (
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (kind, owner, key)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS outbox (
    id TEXT PRIMARY KEY,
    sink TEXT NOT NULL,
    grp TEXT NOT NULL,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    error TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS silence (
    id TEXT PRIMARY KEY,
    data TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    message TEXT NOT NULL,
    sink TEXT NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS event_fingerprint ON event (fingerprint) WHERE fingerprint <> '';
  CREATE INDEX IF NOT EXISTS event_message ON event (message) WHERE message <> '';
`;

/** How many events are kept: the oldest go. */
export const mostEvents = 100_000;
/** Of 4 KiB: a gigabyte. Everything in it is bounded by number; this is for what is large all the same. */
const mostPages = 262_144;
/** Milliseconds for which the watching may wait for another process that writes. */
const patience = 50;

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
const Told = v.custom<Body>((value) =>
  v.is(
    v.variant("is", [
      v.object({ is: v.literal("alert"), alert: v.object({ data: v.object({}) }) }),
      v.object({
        is: v.literal("notification"),
        notification: v.object({ alerts: v.array(v.object({})) }),
      }),
    ]),
    value,
  )
);

/** The file in the folder of `--state`. */
export function stateFile(folder: string): string {
  return join(folder, "dropwatch.sqlite");
}

/** Opens a database, and brings it to the schema of this version. */
export function openDatabase(file: string, wait: number): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec(`PRAGMA busy_timeout = ${wait}; PRAGMA journal_mode = WAL;`);
    database.exec("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864;");
    database.exec(`PRAGMA max_page_count = ${mostPages}`);
    const found = database.prepare("PRAGMA user_version").get()!["user_version"] as number;
    if (found > schemaVersion) throw new Error(`it is of a later dropwatch (version ${found})`);
    if (found < schemaVersion) {
      database.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version = ${schemaVersion}; COMMIT;`);
    }
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/**
 * Opens the folder of `--state`, and makes it where it isn't there. It is locked: two processes can't
 * keep their alerts in the same place. A database that is damaged is moved away, and that is said.
 *
 * @throws DropwatchError BAD_STATE, STATE_IN_USE.
 */
export function openStore(folder: string, log: (message: string) => void): StateStore {
  const file = stateFile(folder);
  let lock: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    lock = takeLock(join(folder, "dropwatch.lock"));
  } catch (thrown) {
    throw isBusy(thrown) ? stateInUse(folder) : badState(file, thrown);
  }
  try {
    return storeIn(openDatabase(file, 5000), file, log, lock);
  } catch (thrown) {
    if (isDamaged(thrown)) {
      beginAnew(file, thrown, log);
      return storeIn(openDatabase(file, 5000), file, log, lock);
    }
    lock.close();
    throw badState(file, thrown);
  }
}

/** A lock that ends with the process, however it ends. */
function takeLock(file: string): DatabaseSync {
  const lock = new DatabaseSync(file);
  try {
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
    return lock;
  } catch (thrown) {
    lock.close();
    throw thrown;
  }
}

/**
 * A store in memory: gone with the process (`ephemeral`), or to be read back within it, as tests of a
 * restart do.
 */
export function openMemoryStore(ephemeral = true): StateStore {
  const database = new DatabaseSync(":memory:");
  database.exec(schema);
  return { ...storeIn(database, "memory", () => {}, undefined), ephemeral };
}

function isBusy(thrown: unknown): boolean {
  return /locked|busy/i.test(reasonOf(thrown));
}

/** SQLITE_CORRUPT, SQLITE_NOTADB, and a table that somebody has removed. */
export function isDamaged(thrown: unknown): boolean {
  return /malformed|not a database|no such table|no such column/i.test(reasonOf(thrown));
}

/** Keeps a damaged database for whoever wants to look at it; returns where. */
export function moveAway(file: string): string {
  const to = `${file}.damaged-${new Date().toISOString().replaceAll(/[:.]/g, "-")}`;
  for (const end of ["", "-wal", "-shm"]) {
    if (existsSync(`${file}${end}`)) renameSync(`${file}${end}`, `${to}${end}`);
  }
  return to;
}

function beginAnew(file: string, cause: unknown, log: (message: string) => void): void {
  const to = moveAway(file);
  log(
    `${file}: the state is damaged (${reasonOf(cause)}): it is now ${to}, and a new one begins; ` +
      `who was told of an alert may be told again, and of an end perhaps not`,
  );
}

function storeIn(
  first: DatabaseSync,
  file: string,
  log: (message: string) => void,
  lock: DatabaseSync | undefined,
): StateStore {
  const ephemeral = lock === undefined;
  let db = first;
  let write = prepared(db);
  db.exec(`PRAGMA busy_timeout = ${patience}`);
  const version = (): number => db.prepare("PRAGMA data_version").get()!["data_version"] as number;
  let seen = version();
  const readable = <T>(what: string, read: (row: Record<string, unknown>) => T, sql: string): T[] =>
    (db.prepare(sql).all() as Record<string, unknown>[]).flatMap((row) => {
      try {
        return [read(row)];
      } catch {
        log(`${file}: ${what} can't be read, and is left out`);
        return [];
      }
    });
  return {
    ephemeral,
    load: () => readable("an alert", readAlert, "SELECT * FROM alert"),
    loadMemory: (kinds) =>
      db.prepare("SELECT * FROM memory WHERE kind IN (SELECT value FROM json_each(?))")
        .all(JSON.stringify(kinds)) as unknown as MemoryRow[],
    loadOutbox: () => readable("a message", readOutbox, "SELECT * FROM outbox ORDER BY seq"),
    outboxStates: () =>
      new Map(
        db.prepare("SELECT id, state, next_at FROM outbox").all()
          .map(({ id, state, next_at: at }) => [
            id as string,
            { state: state as string, hurried: at === 0 },
          ]),
      ),
    loadSilences: () => readable("a silence", readSilence, "SELECT * FROM silence"),
    events: (fingerprint) => readEvents(db, fingerprint),
    changedElsewhere() {
      const now = version();
      const changed = now !== seen;
      seen = now;
      return changed;
    },
    save(changes) {
      db.exec("BEGIN IMMEDIATE");
      try {
        write(changes);
        db.exec("COMMIT");
      } catch (thrown) {
        // A full disk may have rolled it back already.
        if (db.isTransaction) db.exec("ROLLBACK");
        throw thrown;
      }
    },
    renew(cause) {
      if (ephemeral || (db.isOpen && !isDamaged(cause))) return false;
      if (db.isOpen) db.close();
      if (existsSync(file)) beginAnew(file, cause, log);
      // Where this fails, there is none: it is tried again with the next that can't be saved.
      db = openDatabase(file, patience);
      write = prepared(db);
      seen = version();
      return true;
    },
    close() {
      if (db.isOpen) db.close();
      lock?.close();
    },
  };
}

/** The statements that save changes. */
function prepared(db: DatabaseSync): (changes: Changes) => void {
  const put = db.prepare("INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?)");
  const drop = db.prepare("DELETE FROM alert WHERE alert = ? AND labels = ?");
  const putRow = db.prepare("INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)");
  const dropRow = db.prepare("DELETE FROM memory WHERE kind = ? AND owner = ? AND key = ?");
  const putMessage = db.prepare(
    "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const dropMessage = db.prepare("DELETE FROM outbox WHERE id = ?");
  const putSilence = db.prepare("INSERT OR REPLACE INTO silence VALUES (?, ?)");
  const putEvent = db.prepare("INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?, ?)");
  const dropEvents = db.prepare("DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?");
  return (changes) => {
    for (const { kind, owner, key } of changes.goneRows ?? []) dropRow.run(kind, owner, key);
    for (const { kind, owner, key, data } of changes.rows ?? []) {
      putRow.run(kind, owner, key, data);
    }
    for (const { alert, labels } of changes.goneAlerts ?? []) drop.run(alert, keyOf(labels));
    for (const { alert, labels, state, sent } of changes.alerts ?? []) {
      const data = sent === undefined ? null : JSON.stringify(sent);
      put.run(alert, keyOf(labels), JSON.stringify(state), data);
    }
    for (const id of changes.goneOutbox ?? []) dropMessage.run(id);
    for (const row of changes.outbox ?? []) {
      const { id, sink, group, seq, state, created, attempts, nextAt, error, body } = row;
      const [from, next] = [Math.round(created), Math.round(nextAt)];
      const text = JSON.stringify(body);
      putMessage.run(id, sink, group, seq, state, from, attempts, next, error, text);
    }
    for (const silence of changes.silences ?? []) {
      putSilence.run(silence.id, JSON.stringify(silence));
    }
    let any = false;
    for (const { at, kind, fingerprint, message, sink, text } of changes.events ?? []) {
      putEvent.run(Math.round(at), kind, fingerprint, message, sink, text);
      any = true;
    }
    if (any) dropEvents.run(mostEvents);
  };
}

/** Equal for equal labels, whatever their order. */
function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1));
}

function readAlert(row: Record<string, unknown>): SavedAlert {
  const { alert, labels, state, sent } = row as Record<string, string | null>;
  return {
    alert: alert!,
    labels: v.parse(Labels, Object.fromEntries(JSON.parse(labels!))),
    state: v.parse(State, JSON.parse(state!)),
    sent: sent === null ? undefined : v.parse(Sent, JSON.parse(sent!)),
  };
}

/** A message as it is kept. */
export function readOutbox(row: Record<string, unknown>): OutboxRow {
  const { id, sink, grp, state, error, body } = row as Record<string, string>;
  const { seq, created, attempts, next_at: nextAt } = row as Record<string, number>;
  return {
    id: id!,
    sink: sink!,
    group: grp!,
    seq: seq!,
    state: v.parse(v.picklist(["pending", "dead"]), state),
    created: created!,
    attempts: attempts!,
    nextAt: nextAt!,
    error: error!,
    body: v.parse(Told, JSON.parse(body!)),
  };
}

/** A silence as it is kept. */
export function readSilence(row: Record<string, unknown>): Silence {
  return v.parse(SilenceSchema, JSON.parse(row["data"] as string));
}

/** What became of an alert, the oldest first. */
export function readEvents(db: DatabaseSync, fingerprint: string): AlertEvent[] {
  const rows = db.prepare(
    "SELECT * FROM event WHERE fingerprint = ?1 OR message IN " +
      "(SELECT message FROM event WHERE fingerprint = ?1 AND message <> '') ORDER BY seq",
  ).all(fingerprint).map(readEvent);
  // Of a message that tells of many, only what is about this one, or about the message itself.
  return rows.filter((event) => event.fingerprint === "" || event.fingerprint === fingerprint);
}

export function readEvent(row: Record<string, unknown>): AlertEvent {
  const { at, kind, fingerprint, message, sink, text } = row;
  return { at, kind, fingerprint, message, sink, text } as AlertEvent;
}
