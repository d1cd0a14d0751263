// The whole terminal as a screen: the alternate screen, keys one by one, and the terminal as it was
// whatever happens.
import { readFileSync, writeSync } from "node:fs";
import process from "node:process";
import type { ReadStream, WriteStream } from "node:tty";
import { difference, paint } from "./paint.ts";
import type { Able, Line, Size } from "./paint.ts";
import { readKeys } from "./key.ts";
import type { Key } from "./key.ts";

export interface Screen {
  readonly size: Size;
  readonly able: Able;
  /** Draws a frame: what has changed, in one write. Where the terminal doesn't keep up, none. */
  draw(lines: readonly Line[]): void;
  /** Draws the next frame as a whole. */
  forget(): void;
  /** Gives the terminal back to the shell until it says to go on; false where there is no shell. */
  suspend(): boolean;
  /** The terminal as it was. May be called again. */
  close(): void;
}

export interface ScreenListeners {
  readonly onKey: (key: Key) => void;
  /** Its size has changed, or it is back: draw. */
  readonly onChange: () => void;
}

/** What a screen is made on. Both streams must be terminals. */
export interface ScreenDevices {
  readonly input: ReadStream;
  readonly output: WriteStream & { readonly fd: number };
  readonly able: Able;
  /** Something was thrown that nobody caught; the terminal is as it was by then. */
  readonly onCrash: (thrown: unknown) => void;
}

/** Alternate screen, no cursor, no wrapping: a line that is wider than we think stays one line. */
const enter = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const leave = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
/** Bytes that may wait for a terminal that doesn't take them: a frame more would only make it later. */
const mostWaiting = 65_536;
const crashes = ["uncaughtException", "unhandledRejection"] as const;
/** Milliseconds that the rest of a key's sequence may take. */
const keyPatience = 50;

/** Takes the terminal until `close`. */
export function openScreen(
  { input, output, able, onCrash }: ScreenDevices,
  { onKey, onChange }: ScreenListeners,
): Screen {
  let open = false;
  let shown: string[] = [];
  let begun = "";
  let timer: ReturnType<typeof setTimeout> | undefined;

  const sizeNow = (): Size => ({
    // Some terminals say 0: a serial line, one whose size nobody has set.
    columns: output.columns > 0 ? output.columns : 80,
    rows: output.rows > 0 ? output.rows : 24,
  });
  let size = sizeNow();

  const take = (whole: boolean): void => {
    const { keys, rest } = readKeys(begun, whole);
    begun = rest;
    for (const key of keys) onKey(key);
  };
  const onData = (text: string | Uint8Array): void => {
    clearTimeout(timer);
    begun += String(text);
    take(false);
    if (begun !== "") timer = setTimeout(() => take(true), keyPatience);
  };
  const onSize = (): void => {
    size = sizeNow();
    shown = [];
    if (open) onChange();
  };
  const start = (): void => {
    if (open) return;
    open = true;
    shown = [];
    input.setRawMode(true);
    output.write(enter);
  };
  const stop = (): void => {
    if (!open) return;
    open = false;
    // Where one of both fails the other is tried all the same: the terminal may be gone, or be full.
    try {
      input.setRawMode(false);
    } catch {
      // It is gone, and what it was like with it.
    }
    try {
      // At once, since the next thing may be the end of the process.
      writeSync(output.fd, leave);
    } catch {
      output.write(leave);
    }
  };
  const crash = (thrown: unknown): void => {
    stop();
    onCrash(thrown);
  };
  const onStop = (): void => {
    stop();
    // Not SIGTSTP: who listens for it isn't stopped by it.
    process.kill(process.pid, "SIGSTOP");
  };
  const onContinue = (): void => {
    start();
    onSize();
  };

  input.setEncoding("utf8");
  input.on("data", onData);
  input.resume();
  output.on("resize", onSize);
  process.on("SIGTSTP", onStop);
  process.on("SIGCONT", onContinue);
  process.on("exit", stop);
  for (const event of crashes) process.on(event, crash);
  start();

  return {
    get size() {
      return size;
    },
    able,
    draw(lines) {
      if (!open || output.writableLength > mostWaiting) return;
      const next = paint(lines, size, able);
      const changed = difference(shown, next);
      const text = shown.length === 0 ? `\x1b[2J${changed}` : changed;
      shown = next;
      if (text !== "") output.write(text);
    },
    forget: () => void (shown = []),
    suspend() {
      if (hasNoShell()) return false;
      // All that the shell takes for one job: what started us, too.
      process.kill(0, "SIGTSTP");
      return true;
    },
    close() {
      stop();
      clearTimeout(timer);
      input.off("data", onData);
      input.pause();
      output.off("resize", onSize);
      process.off("SIGTSTP", onStop);
      process.off("SIGCONT", onContinue);
      process.off("exit", stop);
      for (const event of crashes) process.off(event, crash);
    },
  };
}

/**
 * Whether nobody would take us back once we are stopped: no shell of this session waits for our process
 * group, as where a terminal or ssh runs only us.
 */
function hasNoShell(): boolean {
  const own = statOf(process.pid);
  if (own === undefined) return true;
  let parent = statOf(own.parent);
  // What started us may be of our group, and is stopped with us.
  while (parent !== undefined && parent.group === own.group) parent = statOf(parent.parent);
  return parent === undefined || parent.session !== own.session;
}

function statOf(
  pid: number,
): { readonly parent: number; readonly group: number; readonly session: number } | undefined {
  if (pid <= 0) return undefined;
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // Gone, or of another PID namespace.
  }
  // The name in brackets may have brackets and spaces of its own.
  const [, parent, group, session] = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  return { parent: parent!, group: group!, session: session! };
}
