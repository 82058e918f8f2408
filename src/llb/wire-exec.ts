import { unreachable } from "../base/index.js";
import type { ExecMeta, ExecMount, ExecOp, SecretMount } from "./op.js";
import { boolean, integer, integers, message, nested, repeated, text, texts } from "./protobuf.js";

/** An exec as BuildKit's `pb.ExecOp`. */
export function execBytes(op: ExecOp): Uint8Array {
  return message(
    nested(1, metaBytes(op.meta)),
    repeated(2, op.mounts, mountBytes),
    integer(3, NETWORKS[op.network]),
    integer(4, op.security === "insecure" ? 1 : 0),
    repeated(5, op.secretEnv, ({ id, name, optional }) => message(text(1, id), text(2, name), boolean(3, optional))),
    repeated(6, op.devices, ({ name, optional }) => message(text(1, name), boolean(2, optional))),
  );
}

/** What a server must know to run it. */
export function execCaps({ meta, mounts, network, security, secretEnv = [], devices = [] }: ExecOp): readonly string[] {
  return [
    "exec.meta.base",
    ...(network === "sandbox" ? [] : ["exec.meta.network"]),
    ...(security === "sandbox" ? [] : ["exec.meta.security"]),
    ...(meta.proxyEnv === undefined ? [] : ["exec.meta.proxyenv"]),
    ...((meta.ulimits ?? []).length === 0 ? [] : ["exec.meta.ulimit"]),
    ...(meta.cgroupParent ? ["exec.meta.cgroup.parent"] : []),
    ...(meta.validExitCodes === undefined ? [] : ["exec.validexitcode"]),
    // Where the op says the PATH, nobody needs to add one.
    ...(meta.env.some((entry) => entry.startsWith("PATH=")) ? [] : ["exec.meta.setsdefaultpath"]),
    ...(devices.length === 0 ? [] : ["exec.meta.cdi"]),
    ...(secretEnv.length === 0 ? [] : ["exec.mount.secret", "exec.secretenv"]),
    ...mounts.flatMap(mountCaps),
  ];
}

const NETWORKS = { sandbox: 0, host: 1, none: 2 } as const;
const MOUNT_TYPES = { bind: 0, secret: 1, ssh: 2, cache: 3, tmpfs: 4 } as const;
const SHARING = { shared: 0, private: 1, locked: 2 } as const;
const CONTENT_CACHE = { default: 0, on: 1, off: 2 } as const;
const PROXY_FIELDS = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

function metaBytes(meta: ExecMeta): Uint8Array {
  return message(
    texts(1, meta.args),
    texts(2, meta.env),
    text(3, meta.cwd),
    text(4, meta.user),
    nested(5, meta.proxyEnv && proxyBytes(meta.proxyEnv)),
    repeated(6, meta.extraHosts, ({ host, ip }) => message(text(1, host), text(2, ip))),
    text(7, meta.hostname),
    repeated(9, meta.ulimits, ({ name, soft, hard }) => message(text(1, name), integer(2, soft), integer(3, hard))),
    text(10, meta.cgroupParent),
    // Mount points that a step leaves empty go away with it.
    boolean(11, true),
    integers(12, meta.validExitCodes),
  );
}

/** Each proxy is in the environment by its name in small and in capital letters; the wire has it once. */
function proxyBytes(proxies: Readonly<Record<string, string>>): Uint8Array {
  return message(...PROXY_FIELDS.map((name, at) => text(at + 1, proxies[name] ?? proxies[name.toUpperCase()])));
}

function mountBytes(mount: ExecMount): Uint8Array {
  return message(
    integer(1, mount.input),
    text(2, mount.selector),
    text(3, mount.dest),
    integer(4, isSocketOrSecret(mount) ? 0 : mount.output),
    boolean(5, mount.readonly),
    integer(6, MOUNT_TYPES[mount.type]),
    nested(19, mount.tmpfs && message(integer(1, mount.tmpfs.sizeBytes))),
    nested(20, mount.cache && message(text(1, mount.cache.id), integer(2, SHARING[mount.cache.sharing]))),
    nested(21, mount.secret && secretBytes(mount.secret)),
    nested(22, mount.ssh && secretBytes(mount.ssh)),
    integer(24, CONTENT_CACHE[mount.contentCache ?? "default"]),
  );
}

/** They have no output to speak of, and BuildKit's own writer leaves the field alone. */
function isSocketOrSecret({ type }: ExecMount): boolean {
  return type === "secret" || type === "ssh";
}

/** SecretOpt and SSHOpt have the same fields. */
function secretBytes({ id, uid, gid, mode, optional }: SecretMount): Uint8Array {
  return message(text(1, id), integer(2, uid), integer(3, gid), integer(4, mode), boolean(5, optional));
}

function mountCaps(mount: ExecMount): readonly string[] {
  return [
    ...(mount.selector ? ["exec.mount.selector"] : []),
    ...((mount.contentCache ?? "default") === "default" ? [] : ["exec.mount.cache.content"]),
    ...typeCaps(mount),
  ];
}

function typeCaps(mount: ExecMount): readonly string[] {
  switch (mount.type) {
    case "bind":
      return mount.input < 0 ? [] : ["exec.mount.bind"];
    case "cache":
      return ["exec.mount.cache", "exec.mount.cache.sharing"];
    case "tmpfs":
      return ["exec.mount.tmpfs", ...(mount.tmpfs?.sizeBytes ? ["exec.mount.tmpfs.size"] : [])];
    case "secret":
      return ["exec.mount.secret"];
    case "ssh":
      return ["exec.mount.ssh"];
    default:
      return unreachable(mount.type);
  }
}
