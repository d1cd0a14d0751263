// What a cgroup's path says: the unit and the container, however they are named.
import { mkdir, rename, stat } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { cgroupTable, readCgroupPath } from "./cgroup.ts";

const id = "0123456789abcdef".repeat(4);
const short = "0123456789ab";

test.each([
  ["/", "", ""],
  ["/system.slice/ssh.service", "ssh.service", ""],
  ["/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", ""],
  [
    "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service",
    "syncthing.service",
    "",
  ],
  ["/user.slice/user-1000.slice/session-3.scope", "session-3.scope", ""],
  ["/system.slice/dbus\\x2dbroker.service", "dbus-broker.service", ""],
  [`/system.slice/docker-${id}.scope`, `docker-${id}.scope`, short],
  [`/docker/${id}`, "", short],
  [`/docker/${id}/system.slice/nginx.service`, "nginx.service", short],
  [
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-${id}.scope`,
    `cri-containerd-${id}.scope`,
    short,
  ],
  [`/kubepods/besteffort/pod0a1b/${id}`, "", short],
  [`/kubepods.slice/kubepods-pod2.slice/crio-${id}.scope/container`, `crio-${id}.scope`, short],
  [`/machine.slice/libpod-${id}.scope/container`, `libpod-${id}.scope`, short],
  [
    `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`,
    `libpod-${id}.scope`,
    short,
  ],
  [`/default/${id}`, "", short],
  ["/lxc.payload.web1/system.slice/cron.service", "cron.service", "web1"],
  ["/machine.slice/machine-build.scope", "machine-build.scope", "build"],
  ["/system.slice/docker-notanid.scope", "docker-notanid.scope", ""],
])("%s", (path, unit, container) => {
  expect(readCgroupPath(path)).toEqual({ unit, container });
});

let folder: Folder;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => folder.remove());

test("a cgroup is found by its inode, also one that is made later; one that is gone keeps its name", async () => {
  let time = 0;
  const table = cgroupTable({ root: folder.path, now: () => time });
  await mkdir(folder.file("system.slice/a.service"), { recursive: true });
  const { ino } = await stat(folder.file("system.slice/a.service"));
  expect(table.cgroup(ino)).toEqual({ unit: "a.service", container: "" });
  expect(table.path(ino)).toBe("/system.slice/a.service");
  await mkdir(folder.file("b.service"));
  const later = (await stat(folder.file("b.service"))).ino;
  expect(table.cgroup(later).unit).toBe(""); // It was walked a moment ago.
  time += 1001;
  expect(table.cgroup(later).unit).toBe("b.service");
  await rename(folder.file("b.service"), `${folder.path}-moved`);
  time += 1001;
  expect(table.cgroup(999_999_999)).toEqual({ unit: "", container: "" });
  expect(table.cgroup(later).unit).toBe("b.service");
  await rename(`${folder.path}-moved`, folder.file("c.service"));
  time += 1001;
  table.cgroup(999_999_998);
  expect(table.cgroup(later).unit).toBe("c.service");
  expect(table.cgroup(0)).toEqual({ unit: "", container: "" });
});
