import type { RunMount } from "./ast.js";
import type { ExpandResult } from "./expand.js";

/** A --mount of RUN with its options expanded and its defaults filled in. Paths are as written: neither cleaned nor joined to WORKDIR. */
export type ResolvedMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount;

export interface BindMount {
  readonly type: "bind";
  /** A stage, image or named context; undefined is the build context. */
  readonly from: string | undefined;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}
export interface CacheMount {
  readonly type: "cache";
  readonly from: string | undefined;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** The cleaned target where none is given; without the namespace. */
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked";
  /** Undefined where none of uid, gid and mode is given. */
  readonly owner: MountOwner | undefined;
}
export interface TmpfsMount {
  readonly type: "tmpfs";
  readonly target: string;
  readonly readOnly: boolean;
  readonly sizeBytes: number | undefined;
}
export interface SecretMount {
  readonly type: "secret";
  readonly id: string;
  /** Undefined where the secret is but a variable. */
  readonly target: string | undefined;
  readonly env: string | undefined;
  readonly required: boolean;
  readonly owner: MountOwner;
}
export interface SshMount {
  readonly type: "ssh";
  readonly id: string;
  /** Undefined is the executor's default, `/run/buildkit/ssh_agent.N`. */
  readonly target: string | undefined;
  readonly required: boolean;
  readonly owner: MountOwner;
}
export interface MountOwner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export type ResolveMountResult =
  | { readonly ok: true; readonly mount: ResolvedMount }
  | { readonly ok: false; readonly error: string };

/** Resolves the options of one --mount, each value but that of `from` put through EXPAND first. Never throws. */
export declare function resolveMountOptions(
  mount: RunMount,
  expand: (text: string) => ExpandResult,
): ResolveMountResult;
