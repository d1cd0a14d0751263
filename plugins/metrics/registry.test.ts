// How exporters are made of words and configs: their options, names and secrets.
import { describe, expect, test } from "bun:test";
import { DropwatchError } from "../../core/error.ts";
import type { ExporterSpec, MetricsExporter } from "../../core/view/exporter.ts";
import { otlpMetrics } from "./otlp.ts";
import {
  checkExporter,
  exporterMakers,
  exporterName,
  exporterUsages,
  makeExporter,
} from "./registry.ts";

const url = "http://localhost:4318";

function mistake(act: () => unknown): [code: string, message: string, file: string | undefined] {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof DropwatchError) return [thrown.code, thrown.message, thrown.place?.file];
    throw thrown;
  }
  throw new Error("it was taken");
}

const check = (given: unknown, file?: string): [string, string, string | undefined] =>
  mistake(() => checkExporter(given as string | ExporterSpec, file));

describe("an exporter", () => {
  test("is made of a word or of a config, with a name and an interval", () => {
    const made = (given: string | ExporterSpec, name?: string): unknown[] => {
      checkExporter(given);
      const exporter = makeExporter(given, { env: {}, ...(name === undefined ? {} : { name }) });
      return [exporter.name, exporter.interval];
    };
    expect(made(`otlp=${url}`)).toEqual(["otlp", 15_000]);
    expect(made(otlpMetrics({ url, interval: "1m" }))).toEqual(["otlp", 60_000]);
    expect(made(otlpMetrics({ url, name: "vendor" }))).toEqual(["vendor", 15_000]);
    expect(made(otlpMetrics({ url }), "otlp-2")).toEqual(["otlp-2", 15_000]);
    expect(exporterName(otlpMetrics({ url, name: "vendor" }))).toBe("vendor");
  });

  test("of the config's own is taken as it is", () => {
    const own: MetricsExporter = { name: "own", interval: 1000, push: () => Promise.resolve() };
    checkExporter(own);
    expect(makeExporter(own, { env: {} })).toBe(own);
    expect(exporterName(own)).toBe("own");
  });

  test("that there isn't is an error with those that there are", () => {
    expect(exporterUsages).toEqual(["otlp=URL"]);
    expect(Object.keys(exporterMakers)).toEqual(["otlpMetrics"]);
    expect(check("oltp=x")).toEqual([
      "UNKNOWN_EXPORTER",
      `Cannot use the exporter "oltp": expected otlp=URL; nearest: otlp`,
      undefined,
    ]);
    expect(check("otlp")[1]).toBe(`Cannot use the exporter "otlp": expected otlp=URL`);
    for (const word of ["", "=", "__proto__", "constructor=x"]) {
      expect(check(word)[0]).toBe("UNKNOWN_EXPORTER");
    }
    expect(check({ exporter: "toString", options: {} })[0]).toBe("UNKNOWN_EXPORTER");
  });

  test("with options that can't be used is an error that says which, in which file", () => {
    const cannot = "Cannot set up the exporter otlp: ";
    expect(check(otlpMetrics({ url, intervall: "1m" } as never), "a.ts"))
      .toEqual([
        "BAD_EXPORTER_OPTION",
        `${cannot}it has no option "intervall"; nearest: interval`,
        "a.ts",
      ]);
    expect(check({ exporter: "otlp", options: null }))
      .toEqual(["BAD_EXPORTER_OPTION", `${cannot}it needs its options as an object`, undefined]);
    expect(check(otlpMetrics({} as never))[1]).toContain("its url is missing");
    expect(check(otlpMetrics({ url, rate: {} } as never))[1]).toContain(`no option "rate"`);
    for (const interval of ["1", "500ms", "2d", 15, ""]) {
      expect(check(otlpMetrics({ url, interval } as never))[1])
        .toBe(`${cannot}its interval can't be used: expected a duration from 1s to 1d`);
    }
    expect(mistake(() => makeExporter("otlp=localhost:4318", { env: {} }))[1])
      .toBe(`${cannot}its URL must begin with http:// or https://`);
  });

  test("needs its secrets when it is made, and one in the clear is told", () => {
    const spec = otlpMetrics({ url, headers: { authorization: { env: "TOKEN" } } });
    checkExporter(spec);
    expect(mistake(() => makeExporter(spec, { env: {}, file: "a.ts" }))).toEqual([
      "BAD_EXPORTER_OPTION",
      `Cannot set up the exporter otlp: its header authorization is to be in "TOKEN": no such variable`,
      "a.ts",
    ]);
    const told: string[] = [];
    const inTheClear = (option: string, of: string) => void told.push(`${option} of ${of}`);
    makeExporter(spec, { env: { TOKEN: "x" }, inTheClear });
    expect(told).toEqual([]);
    makeExporter(otlpMetrics({ url, headers: { "x-api-key": "s3cret", "x-team": "net" } }), {
      env: {},
      inTheClear,
    });
    expect(told).toEqual(["header x-api-key of otlp"]);
  });
});
