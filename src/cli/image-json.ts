import type { ImageDetails } from "../engine/index.js";
import { familiarName, splitName, taggedName } from "./image-name.js";

/** An image as `docker image inspect` shows it; Go's maps are maps, so that templates may ask for keys that they lack. */
export function dockerImage(image: ImageDetails): Readonly<Record<string, unknown>> {
  const { config, layers, names, digest, taggedAt, descriptor } = image;
  const { architecture, os, variant, author, created, history } = config;
  const tags = names.filter((name) => !name.includes("@")).map(taggedName);
  const digests = [...new Set(names.map((name) => `${splitName(name).repository}@${digest}`))];
  return {
    Id: image.imageId,
    RepoTags: tags,
    RepoDigests: digests,
    Comment: history.at(-1)?.comment ?? "",
    ...(created === undefined ? {} : { Created: created }),
    Author: author ?? "",
    Config: dockerConfig(config.config),
    Architecture: architecture,
    ...(variant === undefined ? {} : { Variant: variant }),
    Os: os,
    Size: image.sizeBytes,
    RootFS: { Type: "layers", Layers: layers.map(({ diffId }) => diffId) },
    Metadata: { LastTagTime: new Date(taggedAt).toISOString() },
    Descriptor: descriptor,
    ...(names.length === 0 ? {} : { Name: familiarName(names[0] ?? "") }),
  };
}

/** Members that are always there, so that templates may ask for them. */
const USUAL = {
  User: "",
  Env: null,
  Cmd: null,
  Image: "",
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};
/** Those that are maps in Go. */
const MAPS = ["ExposedPorts", "Volumes", "Labels"];

function dockerConfig(config: ImageDetails["config"]["config"]): Readonly<Record<string, unknown>> {
  const members: Record<string, unknown> = { ...USUAL, ...config };
  for (const name of MAPS) {
    const value = members[name];
    if (typeof value === "object" && value !== null) members[name] = new Map(Object.entries(value));
  }
  return members;
}
