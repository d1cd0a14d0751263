// Alerts in a file: an object a line, or a text for people. What is written is there to stay: a line is
// written whole or not at all, and a file that has become too large makes room for a new one.
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import * as v from "valibot";
import type { AlertMessage } from "../../core/alert/alert.ts";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { AlertSink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine, printable, reasonOf } from "../../core/error.ts";
import { sinkKind } from "./kind.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";
import { showAlert } from "./stdout.ts";

export interface FileOptions {
  readonly path: string;
  /** `json`, an object a line, without it. */
  readonly format?: "json" | "text";
  /** Bytes after which the file is moved to `path.1`: `10M` without it. `k`, `M` and `G` are of 1024. */
  readonly maxSize?: string;
  /** How many of the old files are kept; 5 without it. */
  readonly keep?: number;
}

const units: Readonly<Record<string, number>> = { "": 1, k: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const sizePattern = /^([1-9]\d{0,8})([kMG]?)$/;

/** Appends to a file. */
export const file: SinkMaker<FileOptions> = sinkKind<FileOptions>({
  name: "file",
  sort: "changes",
  doc: "appends alerts to a file, an object a line",
  value: "PATH",
  options: {
    path: v.pipe(v.string("a path"), v.nonEmpty("a path"), v.regex(/^[^\0]*$/, "a path")),
    format: v.optional(v.picklist(["json", "text"], `"json" or "text"`)),
    maxSize: v.optional(
      v.pipe(v.string(`a size like "10M"`), v.regex(sizePattern, `a size like "10M"`)),
    ),
    keep: v.optional(
      v.pipe(
        v.number("a number from 0 to 100"),
        v.integer("a whole number"),
        v.minValue(0, "a number from 0 to 100"),
        v.maxValue(100, "a number from 0 to 100"),
      ),
    ),
  },
  fromWord(path) {
    if (path === "") throw badSinkOption("file", "it needs a path: file=PATH");
    return { path };
  },
  make: fileSink,
});

/** A sink that appends to a file, which it makes (mode 0600) where there is none. */
export function fileSink(
  { path, format = "json", maxSize = "10M", keep = 5 }: FileOptions,
  context: SinkContext,
): AlertSink {
  const [, number, unit = ""] = sizePattern.exec(maxSize) ?? [];
  const most = Number(number) * units[unit]!;
  const show = (alert: AlertMessage): string =>
    `${format === "json" ? jsonLine(alert) : dated(alert)}\n`;
  let unmoved = false;
  const makeRoom = async (): Promise<void> => {
    try {
      await rotate(path, keep);
      unmoved = false;
    } catch (thrown) {
      // A file that is too large is the smaller evil: the alert is written to it.
      if (!unmoved) {
        context.log(
          `${context.name}: ${printable(path)} is too large and can't be moved: ${
            reasonOf(thrown)
          }`,
        );
      }
      unmoved = true;
    }
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    name: context.name,
    async send(alert, { signal }) {
      const text = show(alert);
      const turn = last.then(async () => {
        if (signal.aborted) throw new DeliveryError("too late: nothing was written");
        context.trace?.("sent", `append to ${printable(path)}\n\n${text}`);
        try {
          await append(path, Buffer.from(text), most, makeRoom);
        } catch (thrown) {
          if (thrown instanceof DeliveryError) throw thrown;
          throw new DeliveryError(`can't write to ${printable(path)}: ${reasonOf(thrown)}`);
        }
      });
      // One at a time, or two would take the same file for too large.
      last = turn.catch(() => {});
      await turn;
      const answer = `${Buffer.byteLength(text)} bytes`;
      context.trace?.("got", answer);
      return { answer };
    },
  };
}

/** An alert for people with its day, which a terminal doesn't need. */
function dated(alert: AlertMessage): string {
  return `${alert.timestamp.slice(0, 11)}${showAlert(alert, false)}`;
}

/**
 * The file is opened anew each time: it may have been moved away (logrotate), and nothing is held
 * meanwhile. A named pipe would hold us up without O_NONBLOCK, and one byte is read below.
 */
const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

async function append(
  path: string,
  line: Uint8Array,
  most: number,
  makeRoom: () => Promise<void>,
): Promise<void> {
  let handle = await open(path, flags, 0o600);
  try {
    let size = await sizeOf(handle, path);
    if (size > 0 && size + line.length > most) {
      await handle.close();
      await makeRoom();
      handle = await open(path, flags, 0o600);
      size = await sizeOf(handle, path);
    }
    // What was left of a line by somebody who was killed, or had no room, stays a line of its own.
    const bytes = await endsInLine(handle, size) ? line : Buffer.concat([Buffer.from("\n"), line]);
    try {
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.length) {
        throw new DeliveryError(
          `can't write to ${
            printable(path)
          }: only ${bytesWritten} of ${bytes.length} bytes had room`,
        );
      }
    } catch (thrown) {
      await takeBack(handle, size, bytes).catch(() => {});
      throw thrown;
    }
    // A disk that is written to later may turn out to be full later.
    await handle.datasync();
  } finally {
    await handle.close().catch(() => {});
  }
}

async function sizeOf(handle: FileHandle, path: string): Promise<number> {
  const stat = await handle.stat();
  if (stat.isFile()) return stat.size;
  throw new DeliveryError(`can't write to ${printable(path)}: it is no regular file`);
}

async function endsInLine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 0 || buffer[0] === 0x0a;
}

/** Takes away the half of a line, where it is what the file ends with: others may write to it too. */
async function takeBack(handle: FileHandle, size: number, bytes: Uint8Array): Promise<void> {
  const written = (await handle.stat()).size - size;
  if (written <= 0 || written >= bytes.length) return;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(written), 0, written, size);
  if (buffer.subarray(0, bytesRead).equals(bytes.subarray(0, written))) await handle.truncate(size);
}

/** `path` becomes `path.1`, `path.1` becomes `path.2`; what would be more than `keep` goes. */
async function rotate(path: string, keep: number): Promise<void> {
  if (keep === 0) return await rm(path, { force: true });
  for (let i = keep - 1; i >= 0; i--) {
    try {
      await rename(i === 0 ? path : `${path}.${i}`, `${path}.${i + 1}`);
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== "ENOENT") throw thrown;
    }
  }
}
