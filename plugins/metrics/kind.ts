// What a kind of exporter is: its options, how the command line writes it, and how one is made. A file in
// this folder exports one kind; registry.ts lists them.
import type * as v from "valibot";
import type { ExporterSpec, MetricsExporter } from "../../core/view/exporter.ts";
import type { Duration } from "../../core/rule/duration.ts";
import type { Traced } from "../http.ts";
import type { Secrets } from "../secret.ts";

/** What every exporter can be told. */
export interface CommonExporterOptions {
  /** By what the log calls it; the kind's name where it is left out. */
  readonly name?: string;
  /** The time between two pushes; 15s. */
  readonly interval?: Duration;
}

/** What an exporter is made with besides its options. */
export interface ExporterContext extends Secrets, Traced {
  readonly name: string;
  /** Milliseconds. */
  readonly interval: number;
}

/** A kind of exporter. */
export interface ExporterKind<Options extends object> {
  readonly name: string;
  /** One line for the help. */
  readonly doc: string;
  /** What stands behind `--metrics name=`. */
  readonly value: string;
  /** The options beside the common ones: a schema for each, whose message says what it may be. */
  readonly options: { readonly [K in keyof Required<Options>]: v.GenericSchema<unknown> };
  /** The options that `--metrics name=VALUE` stands for. */
  fromWord(value: string): Options;
  make(options: Options, context: ExporterContext): MetricsExporter;
}

/** Makes exporters of a kind in a config: `otlpMetrics({ url: "http://localhost:4318" })`. */
export type ExporterMaker<Options extends object> =
  & ((options: Options & CommonExporterOptions) => ExporterSpec)
  & { readonly of: ExporterKind<Options> };

/** Declares a kind of exporter. */
export function exporterKind<Options extends object>(
  kind: ExporterKind<Options>,
): ExporterMaker<Options> {
  return Object.assign(
    (options: Options & CommonExporterOptions): ExporterSpec => ({ exporter: kind.name, options }),
    { of: kind },
  );
}
