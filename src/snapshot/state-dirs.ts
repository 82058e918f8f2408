import path from "node:path";

/** The parts of the state directory. */
export interface StateDirs {
  readonly root: string;
  /** `<layer id>/fs` and, while it is made, `<layer id>/work`; `empty/` is an empty directory. */
  readonly layers: string;
  /** Mount points; a tmpfs in the engine's private mount namespace. */
  readonly mounts: string;
  /** Temporary files; anything here belongs to nobody after its owner died. */
  readonly tmp: string;
  /** Blobs as `sha256/<hex>`. */
  readonly blobs: string;
  /** One lock file per running engine. */
  readonly owners: string;
  /** Stat manifests of build contexts. */
  readonly contexts: string;
  /** Cache mounts' directories. */
  readonly cacheMounts: string;
  /** What was fetched from git repositories. */
  readonly git: string;
  /** What steps have written. */
  readonly logs: string;
  /** State of OCI runtimes, and step bundles. */
  readonly run: string;
  readonly database: string;
}

/** The layout below ROOT (an absolute path). */
export function stateDirs(root: string): StateDirs {
  const at = (name: string) => path.join(root, name);
  return {
    root,
    layers: at("layers"),
    mounts: at("mnt"),
    tmp: at("tmp"),
    blobs: at("blobs"),
    owners: at("owners"),
    contexts: at("contexts"),
    cacheMounts: at("cachemounts"),
    git: at("git"),
    logs: at("logs"),
    run: at("run"),
    database: at("ashlar.db"),
  };
}
