// A certificate for servers on this machine, made by openssl when a test needs one: nothing that could
// expire lies in the repository.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Folder } from "../folder.ts";

export interface Certificate {
  /** Paths of PEM files. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate of `localhost` and 127.0.0.1 that is signed by itself. */
export function makeCertificate(folder: Folder, name = "server"): Certificate {
  const certFile = folder.file(`${name}.crt`);
  const keyFile = folder.file(`${name}.key`);
  const { status, stderr } = spawnSync("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
    ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-keyout", keyFile, "-out", certFile],
  ], { encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl made no certificate: ${stderr}`);
  const [cert, key] = [certFile, keyFile].map((file) => readFileSync(file, "utf8"));
  return { certFile, keyFile, cert: cert!, key: key! };
}
