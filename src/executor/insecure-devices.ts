import fs from "node:fs";
import path from "node:path";
import { deviceNumbers, S_IFCHR, S_IFMT } from "../base/index.js";

/** A device node in the OCI runtime spec. */
export interface DeviceNode {
  readonly path: string;
  readonly type: "b" | "c" | "p";
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

const ALWAYS = ["kmsg", "cuse", "fuse", "kvm", "net/tun", "loop-control"];
const LOOP_DEVICES = 8;
const LOOP_MAJOR = 7;
const LOOP_SEARCH_MAX = 4096;

/** The nodes a step with --security=insecure gets beside the usual ones: those of the host, and eight loop devices from the first free one on. */
export function insecureDevices(): DeviceNode[] {
  const first = firstFreeLoop();
  const loops = Array.from({ length: LOOP_DEVICES }, (_, i): DeviceNode => loopNode(first + i));
  return [...ALWAYS.flatMap((name) => hostNode(path.join("/dev", name))), ...loops];
}

function hostNode(file: string): DeviceNode[] {
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  if (!stat || (stat.mode & S_IFMT) !== S_IFCHR) return [];
  return [
    { path: file, type: "c", ...deviceNumbers(stat.rdev), fileMode: stat.mode & 0o777, uid: stat.uid, gid: stat.gid },
  ];
}

function loopNode(minor: number): DeviceNode {
  return { path: `/dev/loop${minor}`, type: "b", major: LOOP_MAJOR, minor, fileMode: 0o660, uid: 0, gid: 0 };
}

function firstFreeLoop(): number {
  for (let i = 0; i < LOOP_SEARCH_MAX; i++) {
    if (!fs.existsSync(`/sys/block/loop${i}/loop/backing_file`)) return i;
  }
  return LOOP_SEARCH_MAX;
}
