/**
 * The sinks that come with dropwatch, for a config, and what pushes metrics: each is a function that takes
 * its options. docs/sinks.md and docs/metrics.md describe them all.
 *
 * @example
 * ```ts
 * import { defineConfig } from "dropwatch";
 * import { stdout, webhook } from "dropwatch/sinks";
 *
 * export default defineConfig({
 *   sinks: [stdout({}), webhook({ name: "hook", url: { env: "HOOK_URL" } })],
 * });
 * ```
 *
 * @module
 */
export type { Secret } from "./core/secret.ts";
export type { CommonOptions, SinkMaker, SinkSpec } from "./plugins/sinks/kind.ts";
export { alertmanager } from "./plugins/sinks/alertmanager.ts";
export type { AlertmanagerOptions } from "./plugins/sinks/alertmanager.ts";
export { heartbeat } from "./plugins/sinks/heartbeat.ts";
export type { HeartbeatOptions } from "./plugins/sinks/heartbeat.ts";
export { ntfy } from "./plugins/sinks/ntfy.ts";
export type { NtfyOptions } from "./plugins/sinks/ntfy.ts";
export { pagerduty } from "./plugins/sinks/pagerduty.ts";
export type { PagerdutyOptions } from "./plugins/sinks/pagerduty.ts";
export { telegram } from "./plugins/sinks/telegram.ts";
export type { TelegramOptions } from "./plugins/sinks/telegram.ts";
export { discord } from "./plugins/sinks/discord.ts";
export type { DiscordOptions } from "./plugins/sinks/discord.ts";
export { slack } from "./plugins/sinks/slack.ts";
export type { SlackOptions } from "./plugins/sinks/slack.ts";
export { teams } from "./plugins/sinks/teams.ts";
export type { TeamsOptions } from "./plugins/sinks/teams.ts";
export { email } from "./plugins/sinks/email.ts";
export type { EmailOptions } from "./plugins/sinks/email.ts";
export { exec } from "./plugins/sinks/exec.ts";
export type { ExecOptions } from "./plugins/sinks/exec.ts";
export { file } from "./plugins/sinks/file.ts";
export type { FileOptions } from "./plugins/sinks/file.ts";
export { loki } from "./plugins/sinks/loki.ts";
export type { LokiOptions } from "./plugins/sinks/loki.ts";
export { otlp } from "./plugins/sinks/otlp.ts";
export type { OtlpOptions } from "./plugins/sinks/otlp.ts";
export { stdout } from "./plugins/sinks/stdout.ts";
export { syslog } from "./plugins/sinks/syslog.ts";
export type { SyslogOptions } from "./plugins/sinks/syslog.ts";
export { webhook } from "./plugins/sinks/webhook.ts";
export type { WebhookFormat, WebhookOptions } from "./plugins/sinks/webhook.ts";
export { otlpMetrics } from "./plugins/metrics/otlp.ts";
export type { CommonExporterOptions, ExporterMaker } from "./plugins/metrics/kind.ts";
