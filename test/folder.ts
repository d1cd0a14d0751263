// A folder with files, for as long as a test needs it.
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface Folder {
  readonly path: string;
  /** The absolute path of a file in it. */
  file(name: string): string;
  write(name: string, text: string): Promise<string>;
  /** A symbolic link, which may point to nothing. */
  link(name: string, to: string): Promise<void>;
  remove(): Promise<void>;
}

/** Makes a folder with files in it, each given by its path there and its text. */
export async function makeFolder(files: Readonly<Record<string, string>> = {}): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "dropwatch-test-"));
  const folder: Folder = {
    path,
    file: (name) => join(path, name),
    async write(name, text) {
      const file = join(path, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      return file;
    },
    async link(name, to) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await symlink(to, join(path, name));
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
  for (const [name, text] of Object.entries(files)) await folder.write(name, text);
  return folder;
}
