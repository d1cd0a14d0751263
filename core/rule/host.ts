// The main process's side of the rule host: processes that run what rules are made of, some for the
// texts of alerts, some for what is run at each tick (host_group.ts says how rules share them).
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeFailed, hostFailed, textFailed } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import type { Bundle } from "./bundle.ts";
import { bundleHost, shown } from "./bundle.ts";
import type { CheckedRule } from "./checked.ts";
import { makeHostGroups, waiting } from "./host_group.ts";
import type { KnownBundle } from "./host_group.ts";
import type {
  CodeOf,
  CodeResult,
  CodeRun,
  Failure,
  Question,
  Reply,
  UncheckedRule,
} from "./host_message.ts";
import { folderName, removeLeftovers } from "./host_folder.ts";
import { nobody, startHostProcess } from "./host_process.ts";
import type { End, HostProcess } from "./host_process.ts";
import type { AlertFacts, TextName } from "./rule.ts";

/** What became of one file: its rules, or why it has none. */
export type Loaded =
  | { readonly rules: readonly UncheckedRule[] }
  | { readonly failure: Failure }
  | { readonly error: DropwatchError };

/** Which rule's code is to be run. */
export type RuleCodeOf = Pick<CheckedRule, "file" | "bundle" | "index">;

export interface RuleHost {
  /**
   * Runs the bundle of a file and hands over its rules. With `apart` it is run alone first, so that it
   * can't disturb the rules that run already.
   */
  load(file: string, bundle: Bundle, apart?: boolean): Promise<Loaded>;
  /** Lets go of a bundle. */
  forget(bundle: string): Promise<void>;
  /** Asks for a text of a rule; rejects with an error that says what the rule did wrong. */
  text(rule: RuleCodeOf, text: TextName, alert: AlertFacts): Promise<string>;
  /** Which of some combinations of values a filter of a rule keeps. */
  filter(
    rule: RuleCodeOf,
    filter: number,
    fields: readonly string[],
    values: readonly (readonly string[])[],
  ): Promise<boolean[]>;
  /** Runs `each` and `tick` of a rule; a result for each of its keys. */
  run(rule: RuleCodeOf, run: CodeRun): Promise<readonly CodeResult[]>;
  /** The first process's id, while it runs. */
  readonly pid: number | undefined;
  close(): Promise<void>;
}

/**
 * Starts the host. `log` gets what rules print; `blame` is told of a bundle whose code ended its
 * process when nobody had asked it for anything.
 */
export async function startRuleHost(
  log: (message: string) => void,
  blame: (bundle: string, error: DropwatchError) => void = () => {},
): Promise<RuleHost> {
  await removeLeftovers(tmpdir());
  const folder = await mkdtemp(join(tmpdir(), `${folderName(process.pid)}-`));
  const root = process.getuid?.() === 0;
  const program = join(folder, "host.mjs");
  // The child's group may read, nobody but us may write, and others may not even look.
  const put = async (file: string, code: string): Promise<void> => {
    await writeFile(file, code, { mode: 0o400 });
    if (root) await chown(file, 0, nobody);
    if (root) await chmod(file, 0o440);
  };
  if (root) await chown(folder, 0, nobody);
  await chmod(folder, root ? 0o750 : 0o700);
  await put(program, await bundleHost());

  const processes = new Set<HostProcess>();
  let nextBundle = 1;
  let closed = false;

  const launch = (
    onEnd: (end: End) => void,
    onSlow: () => void = () => {},
  ): HostProcess => {
    const started = startHostProcess({
      folder,
      program,
      log,
      onSlow,
      onEnd: (end) => {
        processes.delete(started);
        onEnd(end);
      },
    });
    processes.add(started);
    return started;
  };

  /** A question to a process of its own. */
  const askAlone = (request: Question): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const own = launch(({ suspect, error, rest, how }) => {
        suspect?.reject(error!);
        for (const each of rest) each.reject(hostFailed(how));
      });
      own.ask(waiting(request, (reply) => {
        resolve(reply);
        own.kill();
      }, reject));
    });

  /** Files that change together are tried in one process; what fails there is tried again, alone. */
  let trial: { readonly process: HostProcess; answered: number; open: number } | undefined;
  const askApart = (request: Question): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const mine = trial ??= {
        process: launch(({ suspect, error, rest, how, failedStart }) => {
          if (trial === mine) trial = undefined;
          if (suspect !== undefined && mine.answered === 0) suspect.reject(error!);
          else if (suspect !== undefined) {
            askAlone(suspect.request).then(suspect.resolve, suspect.reject);
          }
          for (const each of rest) {
            if (failedStart || closed) each.reject(hostFailed(how));
            else askApart(each.request).then(each.resolve, each.reject);
          }
        }),
        answered: 0,
        open: 0,
      };
      mine.open++;
      mine.process.ask(waiting(request, (reply) => {
        const isFirst = mine.answered++ === 0;
        if (--mine.open === 0) {
          if (trial === mine) trial = undefined;
          mine.process.kill();
        }
        if (reply.say === "rules" || isFirst) resolve(reply);
        else askAlone(request).then(resolve, reject);
      }, reject));
    });

  // Texts are for people who wait: what code does for each tick mustn't delay them.
  const texts = makeHostGroups({ launch, log, blame });
  const code = makeHostGroups({ launch, log, blame });
  const paths = new Map<string, { readonly file: string; readonly path: string }>();
  const askCode = (request: Question & CodeOf): Promise<Reply> => {
    const known = paths.get(request.bundle);
    if (known !== undefined && !code.has(request.bundle)) {
      // It may be moved to a process of its own meanwhile: there is one entry for it, wherever it is.
      const mine: KnownBundle = { ...known, loaded: false };
      code.add(request.bundle, mine);
      return code.ask({ do: "load", bundle: request.bundle, ...known }).then(async (reply) => {
        if (reply.say === "rules") {
          mine.loaded = true;
          return code.ask(request);
        }
        await code.forget(request.bundle);
        return reply;
      }, async (error) => {
        await code.forget(request.bundle);
        throw error;
      });
    }
    return code.ask(request);
  };
  texts.prepare();
  return {
    async load(file, bundle, apart = false) {
      const path = join(folder, `rule-${nextBundle++}.mjs`);
      await put(path, bundle.code);
      const question: Question = { do: "load", file, bundle: bundle.id, path };
      try {
        if (apart) {
          const reply = await askApart(question);
          if (reply.say !== "rules") {
            await rm(path, { force: true });
            return { failure: failureOf(reply) };
          }
        }
        const mine: KnownBundle = { file, path, loaded: false };
        texts.add(bundle.id, mine);
        const reply = await texts.ask(question);
        if (reply.say === "rules") {
          mine.loaded = true;
          paths.set(bundle.id, { file, path });
          return { rules: reply.rules };
        }
        await texts.forget(bundle.id);
        await rm(path, { force: true });
        return { failure: failureOf(reply) };
      } catch (error) {
        await texts.forget(bundle.id);
        await rm(path, { force: true });
        return { error: error as DropwatchError };
      }
    },
    async forget(bundle) {
      const known = paths.get(bundle);
      if (known === undefined || closed) return;
      paths.delete(bundle);
      await Promise.all([texts.forget(bundle), code.forget(bundle)]);
      await rm(known.path, { force: true });
    },
    async text(rule, text, alert) {
      const reply = await texts.ask({ do: "text", ...codeOf(rule), text, alert });
      if (reply.say === "text") return reply.text;
      throw textFailed({ file: shown(rule.file) }, text, failureOf(reply).message);
    },
    async filter(rule, filter, fields, values) {
      const reply = await askCode({ do: "filter", ...codeOf(rule), filter, fields, values });
      if (reply.say === "kept" && reply.kept.length === values.length) {
        return [...reply.kept].map((kept) => kept === "1");
      }
      throw codeFailed({ file: shown(rule.file) }, "filter", failureOf(reply).message);
    },
    async run(rule, run) {
      const reply = await askCode({ do: "run", ...codeOf(rule), run });
      if (reply.say === "ran" && reply.results.length === run.keys.length) return reply.results;
      throw codeFailed({ file: shown(rule.file) }, "code", failureOf(reply).message);
    },
    get pid() {
      return texts.pid;
    },
    async close() {
      closed = true;
      texts.close();
      code.close();
      const all = [...processes];
      for (const each of all) each.kill();
      await Promise.all(all.map(({ ended }) => ended));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const notThat: Failure = { message: "an answer to another question", at: "" };

function failureOf(reply: Reply): Failure {
  return reply.say === "failed" ? reply.failure : notThat;
}

function codeOf({ file, bundle, index }: RuleCodeOf): CodeOf {
  return { file, bundle, rule: index };
}
