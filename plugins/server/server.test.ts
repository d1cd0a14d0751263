// The whole server, as clients see it.
import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, describe, expect, test } from "bun:test";
import { DropwatchError } from "../../core/error.ts";
import { rawClient, readEvents, requestHead, serve } from "../../test/server.ts";
import type { Served } from "../../test/server.ts";
import { closed, ruleText, startRun } from "../../test/run.ts";
import { openServer } from "./server.ts";
import type { Server, ServerOptions } from "./server.ts";

const token = "0123456789abcdef-token";
let served: Served | undefined;
const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
  await served?.stop();
  served = undefined;
});

const start = async (options: Parameters<typeof serve>[0] = {}): Promise<Served> =>
  served = await serve(options);

async function openAt(options: Partial<ServerOptions>): Promise<Server> {
  const server = await openServer({ address: "127.0.0.1:0", log: () => {}, ...options });
  open.push(server);
  return server;
}

async function codeOf(options: Partial<ServerOptions>): Promise<string> {
  try {
    await openAt(options);
    return "none";
  } catch (error) {
    if (error instanceof DropwatchError) return error.code;
    throw error;
  }
}

const json = { "content-type": "application/json" };

describe("to open a server", () => {
  test("where others can reach it takes a token", async () => {
    for (const address of ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "drops.example:0"]) {
      expect([address, await codeOf({ address })]).toEqual([address, "NEEDS_TOKEN"]);
    }
    expect(await codeOf({ address: "0.0.0.0:0", token: "short" })).toBe("BAD_TOKEN");
    const { url } = await openAt({ address: "0.0.0.0:0", token });
    const { port } = new URL(url);
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
    expect([answer.status, await answer.text()]).toEqual([200, "ok\n"]);
  });

  test("fails at once where the address is taken, isn't this machine's, or is none", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    expect(await codeOf({ address: `127.0.0.1:${port}` })).toBe("ADDRESS_TAKEN");
    await new Promise((resolve) => taken.close(resolve));
    expect(await codeOf({ address: `127.0.0.1:${port}` })).toBe("none");
    expect(await codeOf({ address: "192.0.2.1:0", token })).toBe("CANNOT_LISTEN");
    expect(await codeOf({ address: "nowhere.invalid:0", token })).toBe("CANNOT_LISTEN");
    expect(await codeOf({ address: "127.0.0.1" })).toBe("BAD_ADDRESS");
  });

  test.if(Object.values(networkInterfaces()).flat().some((each) => each?.address === "::1"))(
    "on IPv6's loopback takes no token",
    async () => {
      const { url } = await openAt({ address: "[::1]:0" });
      expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
    },
  );
});

/** Leaves a socket as a process does that is killed. */
async function leaveSocket(path: string): Promise<void> {
  const code = `import { createServer } from "node:net";
    createServer().listen(${JSON.stringify(path)}, () => console.log("listening"));`;
  const args = "Deno" in globalThis ? ["eval", code] : ["-e", code];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  expect((await stat(path)).isSocket()).toBe(true);
}

describe("a unix socket", () => {
  test("is its owner's alone, and takes the place of one that was left behind, of nothing else", async () => {
    const folder = await mkdtemp(join(tmpdir(), "dropwatch-server-"));
    try {
      const path = join(folder, "server.sock");
      const get = (): Promise<number | undefined> =>
        new Promise((resolve, reject) => {
          request({ socketPath: path, path: "/healthz" }, (answer) => {
            answer.resume();
            answer.on("end", () => resolve(answer.statusCode));
          }).on("error", reject).end();
        });
      const first = await openAt({ address: `unix:${path}` });
      expect(first.url).toBe(`unix:${path}`);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect(await get()).toBe(200);
      expect(await codeOf({ address: `unix:${path}` })).toBe("ADDRESS_TAKEN");
      expect(await get()).toBe(200);
      await first.close();
      open.pop();
      await leaveSocket(path);
      const again = await openAt({ address: `unix:${path}` });
      expect(await get()).toBe(200);
      await again.close();
      open.pop();
      const file = join(folder, "file");
      await writeFile(file, "mine");
      await chmod(file, 0o644);
      expect(await codeOf({ address: `unix:${file}` })).toBe("ADDRESS_TAKEN");
      expect((await stat(file)).isFile()).toBe(true);
      expect(await codeOf({ address: `unix:${join(folder, "none", "x.sock")}` }))
        .toBe("CANNOT_LISTEN");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("until something is watched", () => {
  test("it lives and isn't ready, the API says when to ask again, and the page is there", async () => {
    const server = await openAt({ token });
    const get = (path: string): Promise<Response> =>
      fetch(server.url + path, { headers: { authorization: `Bearer ${token}` } });
    expect((await get("/healthz")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(503);
    for (const path of ["/api/v1/status", "/api/v1/events", "/api/v1/drops"]) {
      const answer = await get(path);
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
      expect(await answer.json()).toMatchObject({ error: { code: "NOT_READY" } });
    }
    expect((await get("/api/v1/openapi.json")).status).toBe(200);
    const page = await get("/");
    expect([page.status, page.headers.get("content-type")])
      .toEqual([200, "text/plain; charset=utf-8"]);
    expect(await page.text()).toContain("/api/v1/openapi.json");
  });
});

describe("whether it is ready", () => {
  test("is told to everybody, and why not to those who may ask", async () => {
    const { run, server, ask } = await start({ token });
    const bare = async (): Promise<unknown> => await (await fetch(`${server.url}/readyz`)).json();
    await run.second();
    expect(await bare()).toEqual({ ready: true });
    expect(await (await ask("/readyz")).json())
      .toEqual({ ready: true, state: "watching", trouble: "" });
    await run.second([], { gap: { seconds: 1, why: "bpftrace was killed", over: false } });
    const answer = await ask("/readyz");
    const { state, trouble } = run.view.status();
    expect([state, answer.status]).toEqual(["down", 503]);
    expect(await answer.json()).toEqual({ ready: false, state, trouble });
    expect(await bare()).toEqual({ ready: false });
  });
});

describe("logging in", () => {
  const login = (url: string, given: unknown, headers: Record<string, string> = {}) =>
    fetch(`${url}/login`, {
      method: "POST",
      headers: { ...json, ...headers },
      body: JSON.stringify(given),
    });

  test("gives a cookie that no script reads, isn't the token, and is as good until logging out", async () => {
    const { server: { url } } = await start({ token });
    const answer = await login(url, { token }, { origin: url });
    expect(answer.status).toBe(204);
    const set = answer.headers.get("set-cookie")!;
    expect(set).toMatch(
      /^dropwatch_[0-9a-f]{8}=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    expect(set).not.toContain(token);
    const cookie = set.split(";")[0]!;
    const status = async (): Promise<number> => {
      const got = await fetch(`${url}/api/v1/status`, { headers: { cookie } });
      await got.text();
      return got.status;
    };
    expect(await status()).toBe(200);
    const out = await fetch(`${url}/logout`, { method: "POST", headers: { cookie } });
    expect([out.status, out.headers.get("set-cookie")?.includes("Max-Age=0")]).toEqual([204, true]);
    expect(await status()).toBe(401);
  });

  test("behind a proxy that speaks TLS gives one for TLS only", async () => {
    const { server: { url } } = await start({ token, allowedHosts: ["drops.example"] });
    const answer = await login(url, { token }, { origin: "https://drops.example" });
    expect(answer.headers.get("set-cookie")).toMatch(/; Secure$/);
  });

  test("with wrong tokens has to wait after a few; the right one is let in all the same", async () => {
    const { server: { url }, log } = await start({
      token,
      limits: { failures: { perSecond: 0.01, burst: 3 } },
    });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await login(url, { token: `wrong${i}` })).status);
    expect(statuses).toEqual([401, 401, 401, 429]);
    const wrong = await login(url, { token: "wrong again" });
    expect([wrong.status, wrong.headers.get("retry-after")]).toEqual([429, "100"]);
    expect((await login(url, { token })).status).toBe(204);
    expect(log.join("\n")).not.toContain("wrong");
  });

  test("from another page is refused", async () => {
    const { server: { url } } = await start({ token });
    expect((await login(url, { token }, { origin: "http://evil.example" })).status).toBe(403);
  });
});

describe("a path", () => {
  test("with another method is refused with those that it takes", async () => {
    const { ask } = await start();
    for (
      const [path, method, allow] of [
        ["/api/v1/status", "POST", "GET, HEAD"],
        ["/api/v1/silences", "PUT", "GET, HEAD, POST"],
        ["/api/v1/silences/x", "GET", "DELETE"],
        ["/login", "GET", "POST"],
        ["/", "DELETE", "GET, HEAD"],
      ] as const
    ) {
      const answer = await ask(path, { method });
      expect([path, answer.status, answer.headers.get("allow")]).toEqual([path, 405, allow]);
      const options = await ask(path, { method: "OPTIONS" });
      expect([path, options.status, options.headers.get("allow")]).toEqual([path, 204, allow]);
      expect(options.headers.get("access-control-allow-origin")).toBe(null);
    }
  });

  test("can be asked for its headers alone", async () => {
    const { ask, run } = await start();
    await run.second();
    for (const path of ["/healthz", "/api/v1/status", "/api/v1/reasons", "/"]) {
      const head = await ask(path, { method: "HEAD" });
      expect([path, head.status, await head.text()]).toEqual([path, 200, ""]);
      expect(head.headers.get("x-content-type-options")).toBe("nosniff");
    }
    expect((await ask("/nothing", { method: "HEAD" })).status).toBe(404);
  });

  test("leads nowhere but where there is something: no file can be reached", async () => {
    const body = new TextEncoder().encode("console.log(1)");
    const files = new Map([["/assets/app.js", { body, type: "text/javascript" }]]);
    const { server: { url }, ask } = await start({ files: () => Promise.resolve(files) });
    expect(await (await ask("/assets/app.js")).text()).toBe("console.log(1)");
    for (
      const path of [
        "/assets/../package.json",
        "/assets/..%2fpackage.json",
        "/assets/%2e%2e/package.json",
        "/assets/....//package.json",
        "/assets//etc/passwd",
        "/assets/%00",
        "/assets/%ff",
        "/assets/app.js/",
        "/assets/app.js%00.png",
        "/assets/__proto__",
        "/../../etc/passwd",
        "//etc/passwd",
        "/api/v1/../../etc/passwd",
        "/api/v1/reasons/__proto__",
        "/api/v1/reasons/constructor",
        "/api/v1/reasons/%",
        "/assets/",
        "/constructor",
      ]
    ) {
      const { write, until, socket } = rawClient(url);
      write(requestHead(url, `GET ${path}`));
      const got = await until("\r\n\r\n");
      socket.destroy();
      expect([path, got.split(" ")[1]]).toEqual([path, "404"]);
    }
  });

  test("that is unknown is told with the nearest; an error has its code", async () => {
    const { json } = await start();
    expect(await json("/api/v1/alert")).toEqual({
      error: {
        code: "NOT_FOUND",
        message: 'Cannot find the path "/api/v1/alert"; nearest: /api/v1/alerts, ' +
          "/api/v1/alerts/{fingerprint}, /api/v1/events",
      },
    });
  });
});

describe("the API", () => {
  test("finds drops by what is asked for, and says what can't be asked", async () => {
    const { run, json } = await start();
    for (let i = 0; i < 3; i++) {
      await run.second([[{ reason: "NO_SOCKET", dev: "eth0" }, 10], [
        { reason: "SOCKET_FILTER", dev: "lo" },
        5,
      ]]);
    }
    const drops = async (query: string): Promise<unknown> => await json(`/api/v1/drops?${query}`);
    expect(await drops("by=reason&window=1m&limit=1")).toMatchObject({
      total: 45,
      series: [{ labels: { reason: "NO_SOCKET" }, total: 30 }],
      restSeries: 1,
    });
    expect(await drops("where.dev=lo&window=1m")).toMatchObject({ total: 15 });
    expect(await drops("where.dev=lo&where.dev=eth0&window=1m")).toMatchObject({ total: 45 });
    expect(await drops("null.dev=1&window=1m")).toMatchObject({ total: 0 });
    const { at } = run.driven;
    expect(await drops(`from=${at - 1000}&to=${at}`)).toMatchObject({ total: 15 });
    const problem = async (query: string): Promise<string> =>
      (await drops(query) as { error: { code: string; message: string } }).error.message;
    expect(await problem("by=reson")).toBe(
      'Cannot use "reson" for by: 0: there is no "reson"; nearest: reason',
    );
    expect(await problem("where.reson=X")).toContain("nearest: where.reason");
    expect(await problem("limit=many")).toContain("limit");
    expect(await problem("limit=0")).toContain("limit");
    expect(await problem("limit=5&limit=6")).toContain("more than once");
    expect(await problem("window=1y")).toContain('expected a duration, as "1h"');
    expect(await problem("from=1&window=1h")).toContain("there is from already");
    expect(await problem("step=10")).toContain("step");
    expect(await problem("from=NaN")).toContain("from");
    expect(await problem("from=1e3")).toContain("from");
    expect(await problem("null.dev=yes")).toContain("expected 1");
    expect(await problem("by=sport")).toContain("sport");
    expect(await problem(`where.dev=${"x".repeat(1001)}`)).toContain("where.dev");
  });

  test("makes a silence, ends it, and says what is wrong with one", async () => {
    const { ask, json: get } = await start();
    const post = async (body: string): Promise<[number, Record<string, string>]> => {
      const answer = await ask("/api/v1/silences", { method: "POST", headers: json, body });
      return [answer.status, await answer.json() as Record<string, string>];
    };
    const [status, made] = await post(
      JSON.stringify({ matchers: ['alertname="X"'], duration: "2h", createdBy: "me" }),
    );
    expect([status, made["state"], made["createdBy"]]).toEqual([201, "active", "me"]);
    expect(await get("/api/v1/silences")).toEqual({ silences: [made] });
    const gone = await ask(`/api/v1/silences/${made["id"]}`, { method: "DELETE" });
    expect(await gone.json()).toMatchObject({ id: made["id"], state: "expired" });
    for (
      const [body, code] of [
        ["{", "BAD_BODY"],
        ["[]", "BAD_BODY"],
        ["null", "BAD_BODY"],
        ['{"matchers":["a=\\"b\\""],"duration":"2h","__proto__":{}}', "BAD_BODY"],
        ['{"matchers":["a"],"duration":"2h"}', "BAD_MATCHER"],
        ['{"matchers":["a=~\\".*\\""],"duration":"2h"}', "BAD_SILENCE"],
        ['{"matchers":["a=\\"b\\""],"duration":"99999d"}', "BAD_SILENCE"],
      ] as const
    ) {
      const [refused, answer] = await post(body);
      expect([body, refused, (answer["error"] as unknown as { code: string }).code])
        .toEqual([body, 400, code]);
    }
  });

  test("tells an alert's story to those who know its fingerprint", async () => {
    const { run, json: get } = await start({ run: { files: { "a.ts": ruleText("Closed") } } });
    for (let i = 0; i < 3; i++) await run.second(closed(30));
    const { alerts } = await get("/api/v1/alerts") as { alerts: { fingerprint: string }[] };
    expect(alerts[0]).toMatchObject({ alert: "Closed", state: "firing", value: 90 });
    expect(await get(`/api/v1/alerts/${alerts[0]!.fingerprint}`)).toMatchObject({
      alert: { alert: "Closed" },
    });
    expect(await get("/api/v1/alerts/0000000000000000")).toMatchObject({
      error: { code: "NOT_FOUND" },
    });
    expect(await get("/api/v1/alerts/ABC")).toMatchObject({ error: { code: "BAD_PARAMETER" } });
  });
});

describe("closing", () => {
  test("ends streams, and where it is opened again clients go on where they were, or read again", async () => {
    const run = await startRun({ view: true });
    try {
      const first = await openAt({});
      first.show(run.view);
      const events = readEvents(await fetch(`${first.url}/api/v1/events`));
      await run.second();
      let last: string | undefined;
      for (let event = await events.next();; event = await events.next()) {
        last = event?.id;
        if (event?.event === "tick") break;
      }
      await first.close();
      for (let event = await events.next(); event !== undefined; event = await events.next()) {
        last = event.id;
      }
      const { port } = new URL(first.url);
      const second = await openAt({ address: `127.0.0.1:${port}` });
      second.show(run.view);
      const again = readEvents(
        await fetch(`${second.url}/api/v1/events`, { headers: { "last-event-id": last! } }),
      );
      expect((await again.next())?.event).toBe("hello");
      // Nobody kept what came in between.
      expect((await again.next())?.event).toBe("reset");
      await again.close();
    } finally {
      await run.stop();
    }
  });

  test("isn't held up by who doesn't read or doesn't go", async () => {
    const { server } = await start();
    const idle = rawClient(server.url);
    idle.write(requestHead(server.url, "GET /healthz"));
    await idle.until("ok\n");
    const half = rawClient(server.url);
    half.write("GET / HTTP/1.1\r\n");
    const at = performance.now();
    await server.close();
    await Promise.all([idle.closed, half.closed]);
    expect(performance.now() - at).toBeLessThan(3000);
  });
});
