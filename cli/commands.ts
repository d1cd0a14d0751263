// All commands, in the order in which the help lists them.
import type { Command } from "./command.ts";
import { alertsCommand } from "./commands/alerts.ts";
import { checkCommand } from "./commands/check.ts";
import { completionOf } from "./commands/completion.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { explainCommand } from "./commands/explain.ts";
import { newCommand } from "./commands/new.ts";
import { reasonCommand, reasonsCommand } from "./commands/reason.ts";
import { outboxCommand } from "./commands/outbox.ts";
import { recordCommand } from "./commands/record.ts";
import { replayCommand } from "./commands/replay.ts";
import { silenceCommand } from "./commands/silence.ts";
import { sinkCommand } from "./commands/sink.ts";
import { stacksCommand } from "./commands/stacks.ts";
import { tailCommand } from "./commands/tail.ts";
import { topCommand } from "./commands/top.ts";
import { testCommand } from "./commands/run_tests.ts";
import { watchCommand } from "./commands/watch.ts";

export const commands: readonly Command[] = [
  watchCommand,
  topCommand,
  tailCommand,
  stacksCommand,
  recordCommand,
  reasonsCommand,
  reasonCommand,
  checkCommand,
  explainCommand,
  testCommand,
  replayCommand,
  newCommand,
  alertsCommand,
  silenceCommand,
  outboxCommand,
  sinkCommand,
  doctorCommand,
  completionOf(() => commands),
];
