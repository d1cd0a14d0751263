// The file of a capture that is being written: whole ticks at a time, so that what a kill leaves can be
// read.
import { closeSync, openSync, writeSync } from "node:fs";
import { captureExists, unwritableFile } from "../../../core/error.ts";

export interface CaptureFile {
  /** Adds lines; they have left the process when it returns. */
  write(lines: string): void;
  /** How many were written. */
  readonly bytes: number;
  close(): void;
}

/**
 * Makes the file, for its owner's eyes only: it tells who talks to whom.
 *
 * @throws DropwatchError CAPTURE_EXISTS unless `force`, UNWRITABLE_FILE.
 */
export function makeCaptureFile(file: string, force: boolean): CaptureFile {
  const attempt = <T>(doing: () => T): T => {
    try {
      return doing();
    } catch (thrown) {
      if ((thrown as { code?: string }).code === "EEXIST") throw captureExists(file);
      throw unwritableFile(file, thrown);
    }
  };
  const fd = attempt(() => openSync(file, force ? "w" : "wx", 0o600));
  let bytes = 0;
  return {
    write(lines) {
      const buffer = new TextEncoder().encode(lines);
      for (let at = 0; at < buffer.length;) {
        const n = attempt(() => writeSync(fd, buffer, at));
        at += n;
        bytes += n;
      }
    },
    get bytes() {
      return bytes;
    },
    close: () => attempt(() => closeSync(fd)),
  };
}
