// The kinds of exporters there are, and how one is made of a word of the command line
// (`--metrics otlp=URL`) or of what a config says. A new exporter is a file that exports its kind, and a
// line here.
import * as v from "valibot";
import { DropwatchError, ofExporter, unknownExporter } from "../../core/error.ts";
import { nearest } from "../../core/nearest.ts";
import { milliseconds } from "../../core/rule/duration.ts";
import type { ExporterSpec, MetricsExporter } from "../../core/view/exporter.ts";
import { checkOptions, everySchema, nameSchema } from "../option.ts";
import { makeSecrets } from "../secret.ts";
import type { Environment } from "../secret.ts";
import type { CommonExporterOptions, ExporterKind, ExporterMaker } from "./kind.ts";
import { otlpMetrics } from "./otlp.ts";

/** What all exporters of a run are made with. */
export interface ExporterSetting {
  /** By what the log calls it, where that isn't the name that it has anyway. */
  readonly name?: string;
  readonly env: Environment;
  /** The config's file; undefined for the command line, whose secrets are in the shell's history anyway. */
  readonly file?: string | undefined;
  /** Is told of each secret that stands in the config itself: `header authorization`, of `otlp`. */
  readonly inTheClear?: (option: string, exporter: string) => void;
}

/** All kinds, by what a config calls them. */
export const exporterMakers: { readonly [name: string]: ExporterMaker<never> } = {
  otlpMetrics: otlpMetrics as unknown as ExporterMaker<never>,
};

const kinds: ReadonlyMap<string, ExporterKind<never>> = new Map(
  Object.values(exporterMakers).map(({ of }) => [of.name, of]),
);

/** How each is written on the command line: `otlp=URL`. */
export const exporterUsages: readonly string[] = [...kinds.values()]
  .map(({ name, value }) => `${name}=${value}`);

/**
 * Checks what a word or a config's options say, as far as that can be said without secrets.
 *
 * @throws DropwatchError UNKNOWN_EXPORTER, BAD_EXPORTER_OPTION.
 */
export function checkExporter(
  given: string | ExporterSpec | MetricsExporter,
  file?: string,
): void {
  if (typeof given === "string" || "exporter" in given) read(given, file);
}

/** What the log calls an exporter, unless another one has the same name. */
export function exporterName(given: string | ExporterSpec | MetricsExporter): string {
  if (typeof given === "string") return given.split("=", 1)[0]!;
  if (!("exporter" in given)) return given.name;
  return (given.options as CommonExporterOptions | undefined)?.name ?? given.exporter;
}

/**
 * Makes the exporter that a word or a config describes.
 *
 * @throws DropwatchError UNKNOWN_EXPORTER, BAD_EXPORTER_OPTION.
 */
export function makeExporter(
  given: string | ExporterSpec | MetricsExporter,
  { env, file, inTheClear, name = exporterName(given) }: ExporterSetting,
): MetricsExporter {
  if (typeof given !== "string" && !("exporter" in given)) return given;
  const { kind, options } = read(given, file);
  return telling(kind.name, file, () =>
    kind.make(options as never, {
      ...makeSecrets(kind.name, env, (option) => inTheClear?.(option, name)),
      name,
      interval: milliseconds(options.interval ?? "15s"),
      trace: undefined,
    }));
}

const commonEntries = { name: v.optional(nameSchema), interval: v.optional(everySchema) };

interface Described {
  readonly kind: ExporterKind<never>;
  readonly options: CommonExporterOptions;
}

function read(given: string | ExporterSpec, file: string | undefined): Described {
  const name = typeof given === "string" ? given.split("=", 1)[0]! : given.exporter;
  const kind = kinds.get(name);
  if (kind === undefined || given === name) {
    throw unknownExporter(
      name,
      exporterUsages,
      kind === undefined ? nearest(name, [...kinds.keys()]) : [],
      file === undefined ? undefined : { file },
    );
  }
  const options: object = typeof given === "string"
    ? kind.fromWord(given.slice(name.length + 1))
    : given.options;
  const entries = { ...kind.options as v.ObjectEntries, ...commonEntries };
  return telling(name, file, () => ({ kind, options: checkOptions(name, entries, options) }));
}

/** Does something with an exporter. Its options are a sink's; what is wrong with them is an exporter's. */
function telling<T>(name: string, file: string | undefined, act: () => T): T {
  try {
    return act();
  } catch (thrown) {
    throw thrown instanceof DropwatchError ? ofExporter(thrown, { name, file }) : thrown;
  }
}
