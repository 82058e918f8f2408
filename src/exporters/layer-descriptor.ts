import { type Descriptor, MediaType } from "../oci/index.js";

/** Whose media types manifests, configs and layers carry. */
export type MediaTypes = "oci" | "docker";

/** DESCRIPTOR as an image of the family TYPES lists it: with that family's type, without annotations that only engines use. */
export function listedLayer(descriptor: Descriptor, types: MediaTypes): Descriptor {
  const { annotations, ...rest } = descriptor;
  const mediaType = translated(descriptor.mediaType, types);
  // Docker's manifests know no annotations.
  const kept = types === "oci" ? Object.entries(annotations ?? {}).filter(([name]) => !isInternal(name)) : [];
  return { ...rest, mediaType, ...(kept.length > 0 ? { annotations: Object.fromEntries(kept) } : {}) };
}

const FOREIGN_DOCKER = "application/vnd.docker.image.rootfs.foreign.diff.tar";
const FOREIGN_OCI = "application/vnd.oci.image.layer.nondistributable.v1.tar";

const PAIRS: readonly (readonly [oci: string, docker: string])[] = [
  [MediaType.ociLayer, MediaType.dockerLayer],
  [MediaType.ociLayerGzip, MediaType.dockerLayerGzip],
  [MediaType.ociLayerZstd, MediaType.dockerLayerZstd],
  [FOREIGN_OCI, FOREIGN_DOCKER],
  [`${FOREIGN_OCI}+gzip`, `${FOREIGN_DOCKER}.gzip`],
];

/** Types without a counterpart stay as they are. */
function translated(mediaType: string, types: MediaTypes): string {
  const pair = PAIRS.find((each) => each.includes(mediaType));
  return pair?.[types === "oci" ? 0 : 1] ?? mediaType;
}

function isInternal(annotation: string): boolean {
  return (
    annotation === "containerd.io/uncompressed" ||
    annotation === "buildkit/createdat" ||
    annotation.startsWith("containerd.io/distribution.source.")
  );
}
