// Each sink that `--sink` knows is held to the contract, made as the command line makes it.
import { expect, test } from "bun:test";
import type { Sink } from "../../core/alert/sink.ts";
import { makeSink, sinkUsages } from "../../plugins/sinks/registry.ts";
import { httpSinkContract, sinkContract } from "./sink.ts";
import type { SinkUnderTest } from "./sink.ts";

interface Making {
  readonly json?: boolean;
  readonly colour?: boolean;
  readonly out?: (text: string) => void;
  readonly env?: Readonly<Record<string, string>>;
}

const make = (spec: string, making: Making = {}): Sink =>
  makeSink(spec, { json: false, colour: false, out: () => {}, env: {}, ...making });

const onTerminal = (json: boolean) => (): Promise<SinkUnderTest> => {
  const written: string[] = [];
  const out = (text: string): void => void written.push(`${text}\n`);
  return Promise.resolve({ sink: make("stdout", { json, out }), received: () => written });
};

const contracts: Readonly<Record<string, () => void>> = {
  stdout() {
    sinkContract("stdout for people", { setUp: onTerminal(false) });
    sinkContract("stdout in JSON", { setUp: onTerminal(true), read: (text) => JSON.parse(text) });
  },
  webhook() {
    const env = { DROPWATCH_WEBHOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
    httpSinkContract("webhook", {
      make: (url) => make(`webhook=${url}`, { env }),
      idOf: ({ headers }) => headers["webhook-id"],
      read: (text) => JSON.parse(text),
    });
  },
};

test("every sink that --sink knows is held to the contract", () => {
  expect(Object.keys(contracts).sort()).toEqual(
    sinkUsages.map((usage) => usage.replace(/=.*/, "")).sort(),
  );
});

for (const declare of Object.values(contracts)) declare();
