// routeTest as a user runs it: what passes, and what is said of what doesn't.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { bundleTests } from "../core/rule/bundle.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dropwatch-route-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs a file of tests, as `dropwatch test` does; its exit code, and what was printed. */
async function run(
  code: string,
): Promise<{ readonly status: number | null; readonly said: string }> {
  const file = join(folder, "route.test.ts");
  await writeFile(
    file,
    `import { defineConfig } from "dropwatch";
import { webhook } from "dropwatch/sinks";
import { routeTest } from "dropwatch/test";
${code}`,
  );
  const [bundle] = await bundleTests([file], folder);
  const args = "Deno" in globalThis
    ? ["test", "--no-check", "--no-config", "--allow-all", bundle!]
    : ["test", `./${basename(bundle!)}`];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, said: error?.message ?? stdout + stderr };
}

const config = `const config = defineConfig({
  sinks: [webhook({ name: "ops", url: { env: "NOT_THERE" } }), "stdout"],
  route: { receiver: "ops", routes: [{ matchers: ["severity=info"], receiver: "stdout" }] },
});
`;

describe("routeTest", () => {
  test(
    "makes a test of each case; one that fails says what was otherwise, and what was sent",
    async () => {
      const { status, said } = await run(`${config}
      routeTest(config, [
        {
          name: "ops are told",
          given: [{ at: 0, fires: { alertname: "X" } }],
          expect: [{ at: "30s", receiver: "ops", reason: "first notification" }],
        },
        {
          name: "what has no weight is written down",
          given: [{ at: 0, fires: { alertname: "X", severity: "info" } }],
          expect: [{ at: 0, receiver: "stdout", text: "heavy" }],
        },
      ]);`);
      expect(status).toBe(1);
      expect(said).toContain("the route: ops are told");
      expect(said).toContain("the route: what has no weight is written down");
      expect(said).toContain("expected at 0 to stdout: its text is");
      expect(said).toContain("without heavy");
      expect(said).toMatch(/what was sent:\s+at 0 to stdout: firing, first notification: X in /);
      expect(said).not.toContain("to ops");
    },
    20_000,
  );

  test("passes without the sinks being made: the secrets needn't be there", async () => {
    const { status, said } = await run(`${config}
      routeTest(config, [{
        name: "ops are told",
        given: [{ at: 0, fires: { alertname: "X" } }],
        expect: [{ at: "30s", receiver: "ops" }],
      }]);`);
    expect(status).toBe(0);
    expect(said).toContain("the route: ops are told");
  }, 20_000);

  test("names sinks of a kind as a run does, and knows those that no case speaks of", async () => {
    const { status, said } = await run(`
      const config = defineConfig({
        sinks: [
          webhook({ url: "https://a.example/" }),
          webhook({ url: "https://b.example/" }),
          { name: "mirror", every: 60_000, keepResolved: 1, mirror: () => Promise.resolve() },
          { name: "pulse", every: 60_000, beat: () => Promise.resolve() },
        ],
        route: { receiver: ["webhook-2", "mirror"] },
      });
      routeTest(config, [{
        name: "the second one",
        given: [{ at: 0, fires: { alertname: "X" } }],
        expect: [{ at: "30s", receiver: "webhook-2" }],
      }]);`);
    expect(said).not.toContain("Cannot");
    expect(status).toBe(0);
  }, 20_000);

  const broken: readonly (readonly [what: string, code: string, said: string])[] = [
    [
      "a config whose receiver isn't there",
      `routeTest(defineConfig({ sinks: ["stdout"], route: { receiver: "stdot" } }), []);`,
      'Cannot use route.receiver = "stdot": expected one of stdout; nearest: stdout',
    ],
    [
      "a config with an unknown key",
      `routeTest({ route: { groupby: [] } } as never, []);`,
      'Cannot use the key "route.groupby": there is no such key; nearest: groupBy',
    ],
    [
      "two cases of one name",
      `${config} routeTest(config, [1, 2].map(() => ({ name: "twin", given: [], expect: [] })));`,
      "Cannot read case 2",
    ],
    [
      "a case with an unknown key",
      `${config} routeTest(config, [{ name: "x", given: [], expct: [] }] as never);`,
      "nearest: expect",
    ],
  ];
  for (const [what, code, expected] of broken) {
    test(`fails with ${what}`, async () => {
      const { status, said } = await run(code);
      expect(status).toBe(1);
      expect(said).toContain("the route: its config and cases can be read");
      expect(said).toContain(expected);
    }, 20_000);
  }
});
