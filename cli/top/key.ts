// What a terminal sends for keys, as names of keys.

/** A printable character stands for itself; the others have names. */
export type Key =
  | { readonly name: KeyName }
  | { readonly name: "text"; readonly text: string };

export type KeyName =
  | "up"
  | "down"
  | "left"
  | "right"
  | "home"
  | "end"
  | "pageup"
  | "pagedown"
  | "enter"
  | "tab"
  | "escape"
  | "backspace"
  | "interrupt"
  | "suspend"
  | "redraw";

const control: Readonly<Record<string, KeyName>> = {
  "\r": "enter",
  "\n": "enter",
  "\t": "tab",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x03": "interrupt",
  "\x1a": "suspend",
  "\x0c": "redraw",
};

/** What follows `ESC [` or `ESC O`, as xterm, the Linux console and screen send it. */
const sequences: Readonly<Record<string, KeyName>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  H: "home",
  F: "end",
  M: "enter",
  "1~": "home",
  "4~": "end",
  "5~": "pageup",
  "6~": "pagedown",
  "7~": "home",
  "8~": "end",
};

/** A sequence that terminals send is short; what begins like one and doesn't end is none. */
const longest = 32;

/**
 * The keys of what was read, and what may be the beginning of one. Sequences that mean nothing here are
 * left out. `whole`: nothing more is on its way, so a lone ESC is the key Escape.
 */
export function readKeys(
  input: string,
  whole: boolean,
): { readonly keys: readonly Key[]; readonly rest: string } {
  const keys: Key[] = [];
  let text = input;
  while (text !== "") {
    if (text[0] === "\x1b") {
      // deno-lint-ignore no-control-regex
      const sequence = /^\x1b(?:\[[0-?]*[ -/]*[@-~]|O[A-Za-z])/.exec(text)?.[0];
      if (sequence !== undefined) {
        const known = sequences[sequence.slice(2).replace(/^1;\d+(?=[A-Z])/, "")];
        if (known !== undefined) keys.push({ name: known });
        text = text.slice(sequence.length);
        continue;
      }
      // deno-lint-ignore no-control-regex
      const begun = /^\x1b(?:\[[0-?]*[ -/]*|O)?$/.test(text) && text.length < longest;
      if (begun && !whole) return { keys, rest: text };
      keys.push({ name: "escape" });
      text = text.slice(begun ? text.length : 1);
      continue;
    }
    const character = String.fromCodePoint(text.codePointAt(0)!);
    text = text.slice(character.length);
    const name = control[character];
    if (name !== undefined) keys.push({ name });
    else if (!/^\p{Cc}$/u.test(character)) keys.push({ name: "text", text: character });
  }
  return { keys, rest: "" };
}
