/**
 * dropwatch tells who is losing packets on a Linux machine, why, and where in the kernel, as alerts
 * from rules written in TypeScript. This is what rules, configs and plugins import.
 *
 * @module
 */
export { drops, health } from "./core/rule/query.ts";
export type {
  Asked,
  At,
  Condition,
  ConditionData,
  Facts,
  FilterData,
  HealthQuery,
  HealthWhere,
  Joinable,
  LabelsOf,
  NumberRange,
  Prefix,
  Query,
  QueryData,
  Value,
  ValueData,
  Where,
} from "./core/rule/query.ts";
export { rule } from "./core/rule/rule.ts";
export type {
  AlertFacts,
  CodeRuleOptions,
  FunctionMark,
  Mode,
  Rule,
  RuleCode,
  RuleContext,
  RuleData,
  RuleOptions,
  Sample,
  Severity,
  StateOptions,
  Text,
} from "./core/rule/rule.ts";
export type { HealthEvent, HealthField } from "./core/watch/health.ts";
export { defineConfig } from "./core/rule/config.ts";
export type { Config } from "./core/rule/config.ts";
export { defineSink, DeliveryError } from "./core/alert/sink.ts";
export type { SendContext, Sink } from "./core/alert/sink.ts";
export type { AlertData, AlertMessage, Evidence } from "./core/alert/alert.ts";
export type { ExporterSpec, MetricsExporter, MetricsReport } from "./core/view/exporter.ts";
export type { MetricDescription, MetricFamily, MetricRow } from "./core/view/metrics.ts";
export { defineSource } from "./core/watch/source.ts";
export type { Source, SourceFacts, SourceRun } from "./core/watch/source.ts";
export { tally } from "./core/watch/tick.ts";
export type { Counted, MapCounts, Tick } from "./core/watch/tick.ts";
export { dropCounter } from "./core/plan/label.ts";
export type { DropCounter } from "./core/plan/label.ts";
export type { SeriesKey } from "./core/plan/key.ts";
export { reasonWorld } from "./core/drop/reason.ts";
export type { ReasonWorld } from "./core/plan/predicate.ts";
export type { Plan } from "./core/plan/plan.ts";
export type { Duration } from "./core/rule/duration.ts";
export type { Drop, FieldName } from "./core/drop/field.ts";
export type { ReasonName } from "./core/drop/reason_name.ts";
