// A terminal with a shell in it, as somebody sits before it: tmux, on a server of its own.
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";

const call = promisify(execFile);

export interface Tmux {
  /** Text and keys, as `tmux send-keys` names them: `C-c`, `Enter`, `Down`; text is typed as it is. */
  press(...keys: readonly string[]): Promise<void>;
  /** Types a line into the shell. */
  line(text: string): Promise<void>;
  /** What can be seen, line by line. */
  screen(): Promise<readonly string[]>;
  /** Waits until what can be seen fits, and returns it. */
  until(what: string, fits: (lines: readonly string[]) => boolean): Promise<readonly string[]>;
  resize(columns: number, rows: number): Promise<void>;
  /** A variable of tmux's about the terminal: `cursor_flag`, `alternate_on`. */
  ask(variable: string): Promise<string>;
  /** The process of the shell. */
  readonly shell: number;
  close(): Promise<void>;
}

let servers = 0;

/** Opens a terminal of a size with a shell whose prompt is `$ `. */
export async function openTmux(
  columns: number,
  rows: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Tmux> {
  const socket = `dropwatch-test-${process.pid}-${servers++}`;
  const tmux = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await call("tmux", ["-u", "-L", socket, "-f", "/dev/null", ...args]);
    return stdout;
  };
  const given = { LC_ALL: "C.UTF-8", NO_COLOR: "", DENO_NO_UPDATE_CHECK: "1", ...env };
  const set = Object.entries(given).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  await tmux(
    ...["new-session", "-d", "-x", String(columns), "-y", String(rows), ...set],
    // The shell between us and it would take its prompt away.
    "PS1='$ ' exec bash --norc --noprofile",
  );
  const ask = async (variable: string): Promise<string> =>
    (await tmux("display-message", "-p", `#{${variable}}`)).trim();
  const screen = async (): Promise<readonly string[]> =>
    (await tmux("capture-pane", "-p")).split("\n").slice(0, -1);
  const terminal: Tmux = {
    async press(...keys) {
      await tmux("send-keys", ...keys);
    },
    async line(text) {
      await tmux("send-keys", "-l", text);
      await tmux("send-keys", "Enter");
    },
    screen,
    async until(what, fits) {
      const end = performance.now() + 20_000;
      for (;;) {
        const lines = await screen();
        if (fits(lines)) return lines;
        if (performance.now() > end) {
          throw new Error(`it didn't come about: ${what}; the screen is\n${lines.join("\n")}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async resize(columns, rows) {
      await tmux("resize-window", "-x", String(columns), "-y", String(rows));
    },
    ask,
    shell: Number(await ask("pane_pid")),
    async close() {
      await tmux("kill-server");
    },
  };
  await terminal.until("a prompt", ([first]) => first?.startsWith("$") === true);
  return terminal;
}
