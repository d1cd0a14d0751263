// What other commands read and change of a state, while `watch` runs on it or not: silences, the outbox,
// what became of alerts. `watch` sees what they change within a second.
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { AlertMessage } from "./alert/alert.ts";
import type { AlertEvent } from "./alert/journal.ts";
import type { OutboxRow } from "./alert/outbox.ts";
import { mostSilences, silenceRetention } from "./alert/silence.ts";
import type { Silence } from "./alert/silence.ts";
import { badState, noState, tooManySilences, unknownId } from "./error.ts";
import {
  openDatabase,
  readEvent,
  readEvents,
  readOutbox,
  readSilence,
  stateFile,
} from "./store.ts";

/** An alert that somebody can be told of, or that was there not long ago. */
export interface KnownAlert {
  readonly fingerprint: string;
  /** As it is now; undefined where it is over for long. */
  readonly message: AlertMessage | undefined;
  /** The last thing that became of it; undefined where that is too long ago to be kept. */
  readonly last: AlertEvent | undefined;
}

export interface StateBeside {
  silences(): Silence[];
  /** Adds one, or puts it in the place of the one with its id. */
  putSilence(silence: Silence): void;
  outbox(): OutboxRow[];
  /** Has a message sent at once: one that waits, or once more one that was given up. */
  retry(id: string): void;
  drop(id: string): void;
  /** The one that something became of last first; those that fire all of them. */
  alerts(): KnownAlert[];
  /** What became of an alert, the oldest first. */
  events(fingerprint: string): AlertEvent[];
  close(): void;
}

/** Milliseconds for which `watch` may be writing. */
const patience = 5000;
const mostAlerts = 1000;

/** Whether a folder holds a state. */
export function hasState(folder: string): boolean {
  return existsSync(stateFile(folder));
}

/**
 * Opens the state in a folder.
 *
 * @throws DropwatchError NO_STATE where there is none and none is to be made, BAD_STATE.
 */
export function openBeside(folder: string, make = false): StateBeside {
  const file = stateFile(folder);
  if (!existsSync(file) && !make) throw noState(folder);
  let db: ReturnType<typeof openDatabase>;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    db = openDatabase(file, patience);
  } catch (thrown) {
    throw badState(file, thrown);
  }
  const rows = (sql: string, ...values: (string | number)[]): Record<string, unknown>[] =>
    db.prepare(sql).all(...values) as Record<string, unknown>[];
  const silences = (): Silence[] => rows("SELECT * FROM silence").flatMap(readable(readSilence));
  return {
    silences,
    putSilence(silence) {
      const now = Date.now();
      const others = silences().filter(({ id }) => id !== silence.id);
      const open = others.filter(({ endsAt }) => endsAt > now);
      if (silence.endsAt > now && open.length >= mostSilences) {
        throw tooManySilences(mostSilences);
      }
      for (const { id, endsAt } of others) {
        if (endsAt <= now - silenceRetention) {
          db.prepare("DELETE FROM silence WHERE id = ?").run(id);
        }
      }
      db.prepare("INSERT OR REPLACE INTO silence VALUES (?, ?)")
        .run(silence.id, JSON.stringify(silence));
    },
    outbox: () => rows("SELECT * FROM outbox ORDER BY seq").flatMap(readable(readOutbox)),
    // A next attempt at 0 is a sign for `watch`: at once.
    retry: (id) =>
      void db.prepare(
        "UPDATE outbox SET state = 'pending', attempts = 0, next_at = 0, created = ? WHERE id = ?",
      ).run(Date.now(), id),
    drop: (id) => void db.prepare("DELETE FROM outbox WHERE id = ?").run(id),
    alerts() {
      const known = new Map(
        rows("SELECT key, data FROM memory WHERE kind = 'notice'")
          .flatMap(
            readable(({ key, data }) =>
              [
                key as string,
                (JSON.parse(data as string) as { message: AlertMessage }).message,
              ] as const
            ),
          ),
      );
      const last = rows(
        "SELECT * FROM event WHERE seq IN (SELECT max(seq) FROM event WHERE fingerprint <> '' " +
          "GROUP BY fingerprint) ORDER BY seq DESC LIMIT ?",
        mostAlerts,
      ).map(readEvent);
      // What became of the message that told of it last is later than the message.
      const ofMessage = new Map(
        rows(
          "SELECT * FROM event WHERE seq IN (SELECT max(seq) FROM event WHERE message IN " +
            "(SELECT value FROM json_each(?)) GROUP BY message)",
          JSON.stringify(last.flatMap(({ message }) => message === "" ? [] : message)),
        ).map(readEvent).map((event) => [event.message, event]),
      );
      const shown = new Set(last.map(({ fingerprint }) => fingerprint));
      return [
        ...last.map((event) => ({
          fingerprint: event.fingerprint,
          message: known.get(event.fingerprint),
          last: ofMessage.get(event.message) ?? event,
        })),
        // Alerts that have fired for so long that nothing else is kept of them.
        ...[...known].filter(([fingerprint]) => !shown.has(fingerprint))
          .map(([fingerprint, message]) => ({ fingerprint, message, last: undefined })),
      ];
    },
    events: (fingerprint) => readEvents(db, fingerprint),
    close: () => db.close(),
  };
}

/**
 * The one of some ids that begins as people wrote it.
 *
 * @throws DropwatchError UNKNOWN_ID where there is none, or several.
 */
export function findId(what: string, written: string, ids: readonly string[]): string {
  const found = [...new Set(ids)].filter((id) => id === written || id.startsWith(written));
  const exact = found.find((id) => id === written);
  if (exact !== undefined) return exact;
  if (found.length === 1 && written !== "") return found[0]!;
  throw unknownId(what, written, found.length === 0 ? [] : found.slice(0, 5));
}

/** A row that can't be read is left out: `watch` says so. */
function readable<T>(
  read: (row: Record<string, unknown>) => T,
): (row: Record<string, unknown>) => T[] {
  return (row) => {
    try {
      return [read(row)];
    } catch {
      return [];
    }
  };
}
