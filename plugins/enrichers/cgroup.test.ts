// What a cgroup's path says: the unit and the container, however they are named.
import { mkdir, rename, stat } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { makeFolder } from "../../test/folder.ts";
import type { Folder } from "../../test/folder.ts";
import { cgroupTable, readCgroupPath } from "./cgroup.ts";

const id = "0123456789abcdef".repeat(4);
const short = "0123456789ab";

const other = "fedcba9876543210".repeat(4);
const uid = "0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9";
const user = "/user.slice/user-1000.slice/user@1000.service";
const pod = `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid}.slice`;

/** A path, the unit, the container. */
type Case = readonly [path: string, unit: string, container: string];
const cases: Readonly<Record<string, readonly Case[]>> = {
  "no container": [
    ["/", "", ""],
    ["/system.slice/ssh.service", "ssh.service", ""],
    ["/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", ""],
    [`${user}/app.slice/syncthing.service`, "syncthing.service", ""],
    ["/user.slice/user-1000.slice/session-3.scope", "session-3.scope", ""],
    ["/init.scope", "init.scope", ""],
    // As systemctl names them, and without the _ that guards the kernel's own names.
    ["/system.slice/dev-disk\\x2dby.swap", "dev-disk\\x2dby.swap", ""],
    ["/system.slice/_memory.service", "memory.service", ""],
    ["/system.slice/docker.service", "docker.service", ""],
    ["/system.slice/docker-notanid.scope", "docker-notanid.scope", ""],
    [`/system.slice/docker-${id}0.scope`, `docker-${id}0.scope`, ""],
  ],
  Docker: [
    [`/system.slice/docker-${id}.scope`, `docker-${id}.scope`, short],
    [`/docker/${id}`, "", short],
    [`/system.slice/docker-${id}.scope/init`, `docker-${id}.scope`, short],
    [`${user}/user.slice/docker-${id}.scope`, `docker-${id}.scope`, short],
    [`/docker/${id}/system.slice/nginx.service`, "nginx.service", short],
    [`/kubepods/besteffort/pod0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/${id}`, "", short],
    [`${pod}/docker-${id}.scope`, `docker-${id}.scope`, short],
  ],
  "containerd and nerdctl": [
    [`${pod}/cri-containerd-${id}.scope`, `cri-containerd-${id}.scope`, short],
    [
      `/kubepods.slice/kubepods-pod${uid}.slice/cri-containerd-${id}.scope`,
      `cri-containerd-${id}.scope`,
      short,
    ],
    [`/kubepods/burstable/pod0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/${id}`, "", short],
    [`/k8s.io/${id}`, "", short],
    // The kubelet names it for systemd, and containerd takes it for a folder.
    [
      `/system.slice/containerd.service/kubepods-burstable-pod${uid}.slice:cri-containerd:${id}`,
      "containerd.service",
      short,
    ],
    [`/kubepods-besteffort-pod${uid}.slice:cri-containerd:${id}`, "", short],
    // A node that is a container itself: what counts is the inner one.
    [
      `/system.slice/docker-${other}.scope/kubelet.slice/kubelet-kubepods.slice/cri-containerd-${id}.scope`,
      `cri-containerd-${id}.scope`,
      short,
    ],
    [`/system.slice/nerdctl-${id}.scope`, `nerdctl-${id}.scope`, short],
    [`${user}/user.slice/nerdctl-${id}.scope`, `nerdctl-${id}.scope`, short],
    [`/default/${id}`, "", short],
  ],
  "CRI-O": [
    [`${pod}/crio-${id}.scope`, `crio-${id}.scope`, short],
    [`${pod}/crio-${id}.scope/container`, `crio-${id}.scope`, short],
    [`/kubepods/burstable/pod0a1b2c3d/crio-${id}`, "", short],
    [`${pod}/crio-conmon-${id}.scope`, `crio-conmon-${id}.scope`, ""],
    [`/system.slice/crio-conmon-${id}.scope`, `crio-conmon-${id}.scope`, ""],
    [`/kubepods/burstable/pod0a1b2c3d/crio-conmon-${id}`, "", ""],
  ],
  Podman: [
    [`/machine.slice/libpod-${id}.scope/container`, `libpod-${id}.scope`, short],
    [
      `/machine.slice/libpod-${id}.scope/container/system.slice/nginx.service`,
      "nginx.service",
      short,
    ],
    [`/machine.slice/libpod-conmon-${id}.scope`, `libpod-conmon-${id}.scope`, ""],
    [
      `/machine.slice/machine-libpod_pod_${other}.slice/libpod-${id}.scope`,
      `libpod-${id}.scope`,
      short,
    ],
    [`${user}/user.slice/libpod-${id}.scope`, `libpod-${id}.scope`, short],
    [
      `${user}/user.slice/user-libpod_pod_${other}.slice/libpod-${id}.scope/container`,
      `libpod-${id}.scope`,
      short,
    ],
    [`/libpod_parent/libpod-${id}`, "", short],
    [`/libpod_parent/${other}/libpod-${id}`, "", short],
    [`/libpod_parent/libpod-${id}/ctr`, "", short],
    [`/libpod_parent/libpod-${id}/conmon`, "", ""],
    [`/libpod_parent/conmon`, "", ""],
    // --cgroups=split, as Quadlet has it: in the cgroup of the service.
    [`/system.slice/web.service/libpod-payload-${id}`, "web.service", short],
    ["/system.slice/web.service/runtime", "web.service", ""],
    [`${user}/app.slice/web.service/libpod-payload-${id}`, "web.service", short],
  ],
  "LXC, Incus and LXD": [
    ["/lxc.payload.web1/system.slice/cron.service", "cron.service", "web1"],
    ["/lxc.payload.project_web-2", "", "project_web-2"],
    ["/lxc.payload/web1", "", "web1"],
    ["/lxc/101/ns/system.slice/cron.service", "cron.service", "101"],
    ["/lxc.monitor.web1", "", ""],
    ["/lxc.monitor/101", "", ""],
    [`/lxc.payload.web1/docker/${id}`, "", short],
  ],
  "systemd-nspawn and machined": [
    ["/machine.slice/machine-build.scope/payload", "machine-build.scope", "build"],
    [
      "/machine.slice/machine-web\\x2d1.scope/payload/system.slice/cron.service",
      "cron.service",
      "web-1",
    ],
    ["/machine.slice/machine-caf\\xc3\\xa9.scope", "machine-caf\\xc3\\xa9.scope", "café"],
    ["/machine.slice/machine-build.scope/supervisor", "machine-build.scope", ""],
    ["/machine.slice/systemd-nspawn@web.service/payload", "systemd-nspawn@web.service", "web"],
    ["/machine.slice/systemd-nspawn@web.service/supervisor", "systemd-nspawn@web.service", ""],
    [
      `/machine.slice/systemd-nspawn@web.service/payload/docker/${id}`,
      "systemd-nspawn@web.service",
      short,
    ],
    [
      "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
      "machine-qemu\\x2d1\\x2dvm.scope",
      "",
    ],
    [
      "/machine.slice/machine-lxc\\x2d77\\x2dweb.scope",
      "machine-lxc\\x2d77\\x2dweb.scope",
      "lxc-77-web",
    ],
  ],
};

describe("a cgroup's path says the unit and the container", () => {
  for (const [of, each] of Object.entries(cases)) {
    test.each(each)(`${of}: %s`, (path, unit, container) => {
      expect(readCgroupPath(path)).toEqual({ unit, container });
    });
  }
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
