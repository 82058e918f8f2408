import { EngineError, type ErrorCode, type Miss } from "../base/index.js";
import type { RecordedStep, SizeBound, UsageEntry } from "../cache/index.js";
import type { StepResources, Terminal } from "../executor/index.js";
import type { Outline, TargetInfo } from "../frontend/index.js";
import type { ProgressSink, SourceExcerpt } from "../progress/index.js";
import type { LocalCacheMounts } from "./cache-mount-tools.js";
import type { FailedContainer } from "./failed-container.js";
import type { LocalImages } from "./image-requests.js";
import type { PruneRequest, PruneResult } from "./prune.js";
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

export interface BuildResult {
  /** Digest of the manifest (or, with several platforms, the index) that was written; undefined where no image was made. */
  readonly digest?: string;
  /** The config digest: the image's id. */
  readonly imageId?: string;
  readonly descriptor?: { readonly mediaType: string; readonly digest: string; readonly size: number };
  /** Bytes of the image: its config and its layers as they were stored or written. */
  readonly sizeBytes?: number;
  /** Full names the image was stored under. */
  readonly names: readonly string[];
  readonly steps: readonly StepResult[];
  /** Why steps ran although an earlier build had them. */
  readonly misses: readonly StepMiss[];
  readonly warnings: readonly BuildWarning[];
  /** What each output wrote, in the request's order. */
  readonly outputs: readonly {
    readonly type: string;
    readonly dest?: string;
    readonly sizeBytes?: number;
    readonly digest?: string;
    /** The names it was pushed under. */
    readonly pushed?: readonly string[];
  }[];
}

export interface StepResult {
  readonly name: string;
  readonly cached: boolean;
  /** Milliseconds; 0 for a cached step. */
  readonly durationMs: number;
}

/** A step that ran, and why it was not in the cache. */
export interface StepMiss extends Miss {
  /** Its name, as of a `StepResult`. */
  readonly step: string;
  readonly vertex: string;
}

/** What a build would do. */
export interface BuildPlan {
  /** Inputs first. */
  readonly steps: readonly PlannedStep[];
  /** The images whose layers steps would ask for and that are not here. */
  readonly pulls: readonly PlannedPull[];
  /** Whether no step would run. */
  readonly isCached: boolean;
}

/** `depends`: whether it would run can't be told before the step (or the image) ON is there. */
export type PlannedStep = { readonly name: string; readonly vertex: string } & (
  | { readonly state: "cached"; readonly causes?: undefined }
  /** `causes`: why, where an earlier build had the step; they are as of a `Miss`. */
  | { readonly state: "run"; readonly causes?: Miss["causes"] }
  | { readonly state: "depends"; readonly on: string; readonly causes?: undefined }
);

/** A step of a build, and whose. `step`: `STAGE`, `STAGE:N`, `Dockerfile:LINE`, or the beginning of its digest. */
export interface ExplainRequest {
  readonly build: BuildRequest;
  readonly step: string;
}

/** What a step was made of in the last two builds in which it was not the same; `older` is absent where it always was. */
export interface StepExplanation {
  readonly step: string;
  readonly newer: RecordedStep;
  readonly older: RecordedStep | undefined;
  /** Why they differ. */
  readonly causes: Miss["causes"];
}

export interface PlannedPull {
  readonly image: string;
  readonly platform: string;
  readonly layers: number;
  readonly sizeBytes: number;
}

export interface BuildWarning {
  readonly rule?: string;
  readonly message: string;
  readonly description?: string;
  readonly url?: string;
  readonly file?: string;
  readonly startLine?: number;
  readonly endLine?: number;
  /** The very words, and what to write in their place: as of a BuildDiagnostic. */
  readonly culprit?: NonNullable<BuildDiagnostic["culprit"]>;
  readonly suggestion?: string;
  /** The whole text of the file. */
  readonly text?: string;
}

/** A mistake or a warning, where it has one with its place in the Dockerfile. */
export interface BuildDiagnostic {
  readonly severity: "error" | "warning";
  /** Of a build check: its name. */
  readonly rule?: string;
  readonly message: string;
  readonly description?: string;
  readonly url?: string;
  /** What can be done about it. */
  readonly hint?: string;
  /** What to write in place of `culprit`, where that is likely. */
  readonly suggestion?: string;
  /** It stands for so many mistakes that are not listed. */
  readonly omitted?: number;
  readonly file?: string;
  /** The lines of the instruction, from 1, both included. */
  readonly startLine?: number;
  readonly endLine?: number;
  /** The very words, where they are known: lines from 1, characters (UTF-16 units) from 0, the end not included. */
  readonly culprit?: {
    readonly start: { readonly line: number; readonly character: number };
    readonly end: { readonly line: number; readonly character: number };
  };
}

/** A build that was refused, or that failed, at a known place of its Dockerfile. */
export class BuildFailure extends EngineError {
  readonly source: SourceExcerpt;
  /** All that is wrong with the Dockerfile, or the step that failed; the message is the first one's. */
  readonly diagnostics: readonly BuildDiagnostic[];
  /** The step that failed, if it was one. */
  readonly step: FailedStep | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    {
      source,
      diagnostics,
      step,
    }: {
      readonly source: SourceExcerpt;
      readonly diagnostics: readonly BuildDiagnostic[];
      readonly step?: FailedStep | undefined;
    },
    options?: ErrorOptions & { readonly hint?: string },
  ) {
    super(code, message, options);
    this.source = source;
    this.diagnostics = diagnostics;
    this.step = step;
  }
}

export interface FailedStep {
  /** As it is shown: `[build 2/5] RUN make`. */
  readonly name: string;
  /** Of a RUN whose process ended by itself. */
  readonly exitCode?: number;
}

/** A source file that a report is about. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
}

/** What the build checks say. */
export interface CheckReport {
  /** Warnings in the order in which a build comes upon them, then the mistakes that would stop it. */
  readonly diagnostics: readonly BuildDiagnostic[];
  readonly source: SourceText;
}

/** What a target can be given, and the Dockerfile that says so. */
export interface OutlineReport extends Outline {
  readonly source: SourceText;
}

/** The stages of a Dockerfile. */
export interface TargetsReport {
  readonly targets: readonly TargetInfo[];
  readonly source: SourceText;
}

/** The program of `run` could not be started; `exitCode` is the one that docker run has for it. */
export class StartFailure extends EngineError {
  readonly exitCode: 126 | 127;

  constructor(message: string) {
    super("failed", message);
    this.exitCode = /not found|no such file/i.test(message) ? 127 : 126;
  }
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
  /** What is damaged in the state directory, or left over; nothing is removed. */
  verify(): Promise<readonly StoreFault[]>;
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
