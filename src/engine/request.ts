import type { AbortOptions } from "../base/index.js";
import type { SizeBound, UsageEntry } from "../cache/index.js";
import type { StepResources, Terminal } from "../executor/index.js";
import type { ProgressSink } from "../progress/index.js";
import type { LocalCacheMounts } from "./cache-mount-tools.js";
import type { FailedContainer } from "./failed-container.js";
import type { LocalImages } from "./image-requests.js";
import type { PruneRequest, PruneResult } from "./prune.js";
import type {
  BuildPlan,
  BuildResult,
  CheckReport,
  ExplainRequest,
  OutlineReport,
  StepExplanation,
  TargetsReport,
} from "./result.js";
import type { ShellRequest } from "./shell.js";
import type { StoreFault } from "./verify.js";

/** One build, as a value: what `ashlar build` makes of its flags, and what a library caller writes. */
export interface BuildRequest {
  /**
   * A directory; an address of a git repository (`https://….git#ref:subdir`, `git@host:path`, …), or of a Dockerfile or tar archive to
   * download; or, for `build -`, bytes: a Dockerfile, or a tar archive (plain, gzip, bzip2, xz, zstd).
   */
  readonly context: string | { readonly stdin: AsyncIterable<Uint8Array> };
  /**
   * Path of the Dockerfile (default `Dockerfile` in the context), or its address. In an archive or a repository, a relative path is one
   * inside of it. `-` reads `dockerfileText`'s bytes from the caller.
   */
  readonly dockerfile?: string;
  /** The Dockerfile itself, instead of a path. */
  readonly dockerfileText?: string;
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** name -> directory, address, `oci-layout://DIR[:tag][@digest]`, `docker-image://REFERENCE`. */
  readonly buildContexts?: Readonly<Record<string, string>>;
  /** `linux/amd64`, `linux/arm64/v8` … */
  readonly platforms?: readonly string[];
  readonly tags?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** `true`: all stages; a list: those stages. */
  readonly noCache?: boolean | readonly string[];
  /** Ask the registry for newer base images. */
  readonly pull?: boolean;
  readonly network?: "default" | "none" | "host";
  /** An address, or `host-gateway`: this machine, as steps reach it. */
  readonly extraHosts?: readonly { readonly host: string; readonly ip: string }[];
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly shmSizeBytes?: number;
  readonly cgroupParent?: string;
  /** Entitlements: `network.host`, `security.insecure`. */
  readonly allow?: readonly string[];
  readonly secrets?: readonly SecretSpec[];
  /** SSH agents for `RUN --mount=type=ssh` and for git. */
  readonly ssh?: readonly SshSpec[];
  /** Bounds of each RUN; no part of any cache key. */
  readonly resources?: StepResources;
  /** Absent: the image is stored under its tags. An empty list: the build fills the cache and nothing else. */
  readonly outputs?: readonly OutputSpec[];
  /** Absent: nothing is said of the images. */
  readonly attestations?: readonly AttestationSpec[];
  /** Whether what is pushed is signed, and by whom. */
  readonly sign?: SigningSpec;
  /** Caches of other machines, looked up in this order after the one of this machine. One that can't be read is told as a warning. */
  readonly cacheFrom?: readonly CacheSpec[];
  /** Where this build's steps are to be had for other machines. */
  readonly cacheTo?: readonly CacheSpec[];
  /** RUN steps at once; unbounded when absent. */
  readonly maxParallelism?: number;
  readonly onProgress?: ProgressSink["emit"];
  /**
   * A RUN has failed, and its container stands as it left it until the promise settles; then the build fails as it would have. Called for
   * one at a time; other steps go on meanwhile. What it throws is ignored.
   */
  readonly onFailedStep?: (container: FailedContainer) => Promise<void>;
  readonly signal?: AbortSignal;
}

export type SecretSpec =
  | { readonly id: string; readonly source: "file"; readonly path: string }
  | { readonly id: string; readonly source: "value"; readonly value: Uint8Array };

/** An agent's socket, or files of private keys, lent under an id (`default` unless a mount names another). */
export interface SshSpec {
  readonly id: string;
  /** One socket, or one key file or more. */
  readonly paths: readonly string[];
}

/** Where a result goes. A `dest` that is a stream is written and ended by the engine. */
export type OutputSpec =
  | {
      readonly type: "oci" | "docker";
      readonly dest: string | NodeJS.WritableStream;
      readonly attrs?: Readonly<Record<string, string>>;
    }
  | {
      readonly type: "tar";
      readonly dest: string | NodeJS.WritableStream;
      readonly attrs?: Readonly<Record<string, string>>;
    }
  | { readonly type: "local"; readonly dest: string; readonly attrs?: Readonly<Record<string, string>> }
  /** The image store, and with `push=true` registries. */
  | { readonly type: "image"; readonly attrs?: Readonly<Record<string, string>> };

/** What is to be said of the images: how they were made, or what they hold. `attrs` are those of --attest. */
export interface AttestationSpec {
  readonly type: "provenance" | "sbom";
  readonly attrs?: Readonly<Record<string, string>>;
}

/** A private key, and what opens it. Neither is kept anywhere, nor told. */
export interface SigningSpec {
  /** Path of the key: one of cosign's, or PEM. */
  readonly key: string;
  readonly passphrase?: string;
}

/** A cache in another place. `attrs` are those of --cache-to and --cache-from. */
export interface CacheSpec {
  readonly type: "registry" | "local" | "inline" | "s3" | "gha";
  readonly attrs?: Readonly<Record<string, string>>;
}

/** Where an engine keeps its state and how it runs steps. */
export interface EngineOptions {
  /** The state directory; default: `ASHLAR_ROOT`'s meaning is the CLI's affair, here /var/lib/ashlar for root, else $XDG_DATA_HOME/ashlar. */
  readonly root?: string;
  /** `oci`: runc or crun; `sandbox`: the built-in one. Default `oci`. */
  readonly isolation?: "oci" | "sandbox";
  /** Which OCI runtime; default: runc, else crun. */
  readonly runtime?: "runc" | "crun";
  /**
   * Where the network of RUN steps comes from: `veth` (the kernel's devices and rules, for root), `pasta` or `slirp4netns` (programs), or
   * `host`, which is this machine's own. `auto`, the default: the first of them that works.
   */
  readonly network?: "auto" | "veth" | "pasta" | "slirp4netns" | "host";
  readonly snapshotter?: "overlay" | "fuse-overlayfs" | "native";
  /**
   * What the state directory may have on disk, images included: bytes, or a share of the disk. Builds remove what was unused for the longest
   * time to stay below. Default: what `ashlar.toml` says, else 60 % of the disk, at most 100 GB.
   */
  readonly cacheMaxSize?: SizeBound;
  /** Where devices for `RUN --device` are described (CDI), later ones win. Default: /etc/cdi, /var/run/cdi. */
  readonly cdiDirectories?: readonly string[];
  /** The environment that PATH, HOME and XDG_DATA_HOME are taken from. Default: none of it, and the usual PATH. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Path of Docker's config.json, for registry credentials. Default: that of the user's home. */
  readonly dockerConfig?: string;
  /** Told what concerns no build in particular: that the engine, which may only be opening, waits for another process. Default: the build that runs is. */
  readonly onProgress?: BuildRequest["onProgress"] | undefined;
  /** Where the metadata database is damaged, begin with an empty one: the cache and the names of images are lost. */
  readonly replaceDamaged?: boolean | undefined;
  /** Ends the opening; throws `canceled`. */
  readonly signal?: AbortSignal | undefined;
}

/** An open engine. Dispose of it when done; builds under way are canceled by that. */
export interface Engine extends AsyncDisposable {
  build(request: BuildRequest): Promise<BuildResult>;
  /** Runs the build checks over the stages that the target needs, or over all where there is none; nothing is built. */
  check(request: BuildRequest): Promise<CheckReport>;
  /** The build arguments, secrets and ssh agents of a target; images are resolved, nothing is built. */
  outline(request: BuildRequest): Promise<OutlineReport>;
  /** The stages of the Dockerfile. */
  targets(request: BuildRequest): Promise<TargetsReport>;
  /** What `build` would do; nothing runs, is made or pulled, but base images are resolved. */
  plan(request: BuildRequest): Promise<BuildPlan>;
  /** What a step of earlier builds was made of. Throws `not-found` for one that no build is known to have had. */
  explain(request: ExplainRequest): Promise<StepExplanation>;
  /** The graphs that `build` would solve, one a platform; base images are resolved, nothing is built. */
  graphs(request: BuildRequest): Promise<readonly BuildGraph[]>;
  /** The images of the local store. */
  readonly images: LocalImages;
  readonly cacheMounts: LocalCacheMounts;
  run(request: RunRequest): Promise<number>;
  /** A shell, or another program, in an image or where a step of a build has left off. The exit code is its own. */
  shell(request: ShellRequest): Promise<number>;
  prune(request: PruneRequest): Promise<PruneResult>;
  /** What is damaged in the state directory, or left over. Reads all of it; nothing is removed, but what is damaged is not relied on any more. */
  verify(options?: AbortOptions): Promise<readonly StoreFault[]>;
  /** What takes room in the state directory: together as much as `du -s` says. */
  diskUsage(): Promise<readonly UsageEntry[]>;
  info(): Promise<Readonly<Record<string, string>>>;
}

/** What is to be built for one platform, as a value. */
export interface BuildGraph {
  /** `linux/amd64`. */
  readonly platform: string;
  /** One JSON object each; docs/dump-llb.md says what they hold. */
  readonly lines: readonly string[];
  /** BuildKit's `pb.Definition`. */
  readonly protobuf: Uint8Array;
}

/** `ashlar run`. */
export interface RunRequest {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** `SRC:DST[:ro]`. */
  readonly volumes: readonly string[];
  /** It gets a terminal of its own, shown on this one. Absent: this process's input and outputs. */
  readonly terminal?: Terminal;
  readonly user?: string;
  readonly workdir?: string;
  readonly entrypoint?: string;
  readonly signal?: AbortSignal;
}
