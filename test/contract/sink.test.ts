// Each kind of sink that there is is held to the contract in the test beside its file.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "bun:test";
import { sinkMakers } from "../../plugins/sinks/registry.ts";

const folder = fileURLToPath(new URL("../../plugins/sinks", import.meta.url));

test.each(Object.keys(sinkMakers))("%s is held to the contract of all sinks", async (name) => {
  const text = await readFile(join(folder, `${name}.test.ts`), "utf8");
  expect(text).toMatch(/^(httpSinkContract|sinkContract|heartbeatContract)\(/m);
  expect(text).toContain(`"${name}`);
});
