// The commands that set network namespaces up. Their words go into the error: "Operation not
// supported" says which part of the kernel is missing.
import { spawnSync } from "node:child_process";
import { noTool, toolFailed } from "../../core/error.ts";

/** Where commands come from. */
const packages: Readonly<Record<string, string>> = {
  ip: "iproute2 (with dnf: iproute)",
  tc: "iproute2 (with dnf: iproute-tc)",
  nft: "nftables",
  unshare: "util-linux",
  nsenter: "util-linux",
};

/** The package with a command. */
export function packageOf(tool: string): string {
  return packages[tool] ?? tool;
}

/**
 * Runs a command to its end.
 *
 * @returns its standard output
 * @throws DropwatchError NO_TOOL, TOOL_FAILED.
 */
export function runTool(argv: readonly string[], input = ""): string {
  const [file = "", ...args] = argv;
  const { error, status, signal, stdout, stderr } = spawnSync(file, args, {
    encoding: "utf8",
    input,
  });
  if ((error as { code?: string } | undefined)?.code === "ENOENT") {
    throw noTool(file, packageOf(file));
  }
  if (error !== undefined || status !== 0) {
    const how = error?.message ?? (signal === null ? `exit code ${status}` : `killed by ${signal}`);
    throw toolFailed(argv.join(" "), stderr?.trim() || how);
  }
  return stdout;
}

/** Whether a command is there, without running it. */
export function hasTool(tool: string): boolean {
  return spawnSync("sh", ["-c", 'command -v "$0"', tool], { stdio: "ignore" }).status === 0;
}
