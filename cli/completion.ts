// What a shell offers behind `dropwatch` and Tab: commands, verbs, options and their values, from the same
// tables as the help.
import { fieldNames } from "../core/drop/field.ts";
import { knowledge } from "../core/drop/knowledge.ts";
import { exporterUsages } from "../plugins/metrics/registry.ts";
import { sinkUsages } from "../plugins/sinks/registry.ts";
import type { Command } from "./command.ts";
import { options } from "./option.ts";
import type { OptionName } from "./option.ts";
import { sortKeys } from "./top/row.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** What can stand for a value: words, or names of files. */
type Values = readonly string[] | "files" | "folders" | undefined;

/** What an option's value can be, by what the help calls it. */
function valuesOf(name: OptionName): Values {
  const { value } = options[name] as { value?: string };
  switch (value) {
    case "DIR":
      return name === "rules" ? "files" : "folders";
    case "FILE":
      return "files";
    case "SINK":
      return sinkUsages.map((usage) => usage.replace(/=.*/, "="));
    case "EXPORTER":
      return exporterUsages.map((usage) => usage.replace(/=.*/, "="));
    case "SOURCE":
      return ["bpftrace", "replay:"];
    case "FIELDS":
      return fieldNames;
    case "COLUMN":
      return sortKeys;
    case "NAME":
      return name === "reason" ? Object.keys(knowledge) : undefined;
    case "FORMAT":
      return ["text", "folded", "speedscope"];
    default:
      return undefined;
  }
}

/** What a command's first word can be, by what the help calls it. */
function wordsOf({ name, usage }: Command, commands: readonly Command[]): Values {
  if (name === "reason") return Object.keys(knowledge);
  if (name === "help") return commands.map((each) => each.name);
  const verbs = usage.split("|").map((part) => part.trim().split(" ")[0]!)
    .filter((word) => /^[a-z]+$/.test(word));
  if (verbs.length > 0) return verbs;
  return /DIR|FILE/.test(usage) ? "files" : undefined;
}

const optionsOf = ({ options: own }: Command): readonly OptionName[] => [
  ...own,
  "help",
  "version",
];

/** The script that a shell reads to complete `dropwatch`. */
export function completionScript(shell: Shell, commands: readonly Command[]): string {
  if (shell === "fish") return fishScript(commands);
  const script = bashScript(commands);
  // zsh runs bash's completions where it is asked to.
  return shell === "bash"
    ? script
    : `#compdef dropwatch\nautoload -U +X compinit && compinit\nautoload -U +X bashcompinit && ` +
      `bashcompinit\n${script}`;
}

const quoted = (words: readonly string[]): string => `'${words.join(" ")}'`;

function bashScript(commands: readonly Command[]): string {
  const known = new Set(commands.flatMap(optionsOf));
  const values = [...known].flatMap((name): string[] => {
    const found = valuesOf(name);
    if (found === undefined) return [];
    const offer = found === "files"
      ? "_dropwatch_files -f"
      : found === "folders"
      ? "_dropwatch_files -d"
      : `_dropwatch_words ${quoted(found)}`;
    return [`    --${name}) ${offer}; return ;;`];
  });
  const free = [...known].filter((name) => "value" in options[name] && valuesOf(name) === undefined)
    .map((name) => `--${name}`);
  const [watch] = commands;
  const cases = commands.map((command) => {
    const words = wordsOf(command, commands);
    const given = optionsOf(command).map((name) => `--${name}`);
    const own = words === "files" || words === "folders"
      ? "_dropwatch_files -f"
      : `_dropwatch_words ${quoted(words ?? [])}`;
    return `    ${command.name}) options=${quoted(given)}; own() { ${own}; } ;;`;
  });
  return `# Completion of dropwatch: source it, or put it where the shell looks for completions.
_dropwatch_words() {
  COMPREPLY+=($(compgen -W "$1" -- "$word"))
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace 2>/dev/null
}
_dropwatch_files() {
  compopt -o filenames 2>/dev/null
  COMPREPLY+=($(compgen "$1" -- "$word"))
}
_dropwatch() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command='' options i
  COMPREPLY=()
  # bash takes "--sink=x" apart at the equals sign.
  [[ $word == '=' ]] && word=''
  [[ $before == '=' ]] && before=\${COMP_WORDS[COMP_CWORD-2]}
  case $before in
${values.join("\n")}
    ${free.join("|")}) return ;;
  esac
  if ((COMP_CWORD > 1)) && [[ \${COMP_WORDS[1]} != -* ]]; then command=\${COMP_WORDS[1]}; fi
  if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
    _dropwatch_words ${quoted([...commands.map(({ name }) => name), "help"])}
    return
  fi
  own() { :; }
  case \${command:-${watch!.name}} in
${cases.join("\n")}
    help) own() { _dropwatch_words ${quoted(commands.map(({ name }) => name))}; } ;;
  esac
  if [[ $word == -* ]]; then _dropwatch_words "$options"; elif ((COMP_CWORD == 2)); then own; fi
}
complete -F _dropwatch dropwatch
`;
}

function fishScript(commands: readonly Command[]): string {
  const text = (words: string): string => `'${words.replaceAll(/['\\]/g, "\\$&")}'`;
  const names = commands.map(({ name }) => name).join(" ");
  const lines = commands.flatMap((command, i) => {
    const { name, doc } = command;
    // Without a command it watches.
    const here = i === 0
      ? `-n 'not __fish_seen_subcommand_from ${names}; or __fish_seen_subcommand_from ${name}'`
      : `-n '__fish_seen_subcommand_from ${name}'`;
    const words = wordsOf(command, commands);
    const offer = (values: Values): string =>
      values === "files" || values === "folders"
        ? "-F"
        : values === undefined
        ? ""
        : `-a ${text(values.join(" "))}`;
    return [
      `complete -c dropwatch -n __fish_use_subcommand -a ${name} -d ${text(doc)}`,
      ...words === undefined ? [] : [`complete -c dropwatch ${here} ${offer(words)}`],
      ...optionsOf(command).map((option) => {
        const takes = "value" in options[option] ? ` -r ${offer(valuesOf(option))}` : "";
        const doc = command.optionDocs?.[option] ?? options[option].doc;
        return `complete -c dropwatch ${here} -l ${option}${takes} -d ${text(doc)}`;
      }),
    ];
  });
  return ["# Completion of dropwatch.", "complete -c dropwatch -f", ...lines, ""].join("\n");
}
