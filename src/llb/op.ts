import type { Digest, FileChange } from "../base/index.js";
import type { Platform } from "../oci/index.js";

export type {
  Chown,
  CopyAction,
  FileChange,
  MkdirAction,
  MkfileAction,
  RmAction,
  SymlinkAction,
  UserName,
} from "../base/index.js";

/**
 * The low-level build graph. Ops correspond one to one to BuildKit's `pb.Op` (solver/pb/ops.proto), so that a definition can
 * be sent to a BuildKit server and theirs to us; field names are its names in camel case.
 */
export type Op = SourceOp | ExecOp | FileOp | MergeOp | DiffOp;

/** Output INDEX of the vertex DIGEST. */
export interface Edge {
  readonly digest: Digest;
  readonly index: number;
}

/** A vertex of the graph as a value: an op, what it takes, and where it runs. Its digest is that of its canonical JSON. */
export interface OpNode {
  readonly op: Op;
  readonly inputs: readonly Edge[];
  readonly platform?: Platform | undefined;
}

/** `docker-image://…`, `local://…`, `oci-layout://…`, `http(s)://…`, `git://…`. */
export interface SourceOp {
  readonly kind: "source";
  readonly identifier: string;
  readonly attrs: Readonly<Record<string, string>>;
}

export interface ExecOp {
  readonly kind: "exec";
  readonly meta: ExecMeta;
  /** The first is the root file system (`dest` "/"). Mounts with an output give a result, in the order of `output`. */
  readonly mounts: readonly ExecMount[];
  readonly network: "sandbox" | "host" | "none";
  readonly security: "sandbox" | "insecure";
  readonly secretEnv?:
    | readonly { readonly id: string; readonly name: string; readonly optional: boolean }[]
    | undefined;
  readonly devices?: readonly { readonly name: string; readonly optional: boolean }[] | undefined;
}

export interface ExecMeta {
  readonly args: readonly string[];
  /** `KEY=value`, in order. */
  readonly env: readonly string[];
  readonly cwd: string;
  /** As in the image config; empty is root. */
  readonly user: string;
  /** Not part of the cache key. */
  readonly proxyEnv?: Readonly<Record<string, string>> | undefined;
  /** The addresses are not part of the cache key. */
  readonly extraHosts?: readonly { readonly host: string; readonly ip: string }[] | undefined;
  readonly hostname?: string | undefined;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
  readonly cgroupParent?: string | undefined;
  /** Exit codes that count as success; [0] when absent. */
  readonly validExitCodes?: readonly number[];
}

/** Input -1 is an empty file system. Output -1 keeps nothing. */
export interface ExecMount {
  readonly type: "bind" | "cache" | "tmpfs" | "secret" | "ssh";
  readonly input: number;
  /** The path inside the input that is mounted. */
  readonly selector?: string | undefined;
  readonly dest: string;
  readonly output: number;
  readonly readonly: boolean;
  readonly cache?: { readonly id: string; readonly sharing: "shared" | "private" | "locked" } | undefined;
  /** `sizeBytes` 0 is no limit. */
  readonly tmpfs?: { readonly sizeBytes: number };
  readonly secret?: SecretMount;
  readonly ssh?: SecretMount;
  /** `on`: key by the content of the selected path even where it would be keyed by definition. */
  readonly contentCache?: "default" | "on" | "off";
}

export interface SecretMount {
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly optional: boolean;
}

/** Runs its actions in order; each works on an input or on the result of an earlier action. */
export interface FileOp {
  readonly kind: "file";
  readonly actions: readonly FileAction[];
}

/**
 * `input`: what is changed: index of an op input, or inputs.length + index of an earlier action; -1 is empty.
 * `secondaryInput`: where copy reads from, and for a `user.byName` of chown, see `Chown.input`; -1 is none.
 * `output`: index of the op's output, -1 where only a later action uses it.
 */
export interface FileAction {
  readonly input: number;
  readonly secondaryInput: number;
  readonly output: number;
  readonly action: FileChange;
}

/** Lays its inputs over each other, later ones on top; an input -1 does not occur. */
export interface MergeOp {
  readonly kind: "merge";
}

/** What UPPER adds to LOWER; -1 is empty. */
export interface DiffOp {
  readonly kind: "diff";
  readonly lower: number;
  readonly upper: number;
}
