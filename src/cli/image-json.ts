import type { ImageDetails } from "../engine/index.js";
import { NIL_MAP, NIL_SLICE } from "./go-template/index.js";
import { familiarName, taggedName } from "./image-name.js";

/** An image as `docker image inspect` shows it; Go's maps are maps, so that templates may ask for keys that they lack. */
export function dockerImage(image: ImageDetails): Readonly<Record<string, unknown>> {
  const { config, layers, names, taggedAt, descriptor } = image;
  const { architecture, os, variant, author, created, history } = config;
  const tags = names.filter((name) => !name.includes("@")).map(taggedName);
  const members = {
    Id: image.imageId,
    RepoTags: tags,
    RepoDigests: image.repositoryDigests.map(taggedName),
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
  const omitted = {
    Parent: "",
    DockerVersion: "",
    Container: "",
    Created: "",
    Variant: "",
    OsVersion: config["os.version"] ?? "",
    VirtualSize: image.sizeBytes,
    GraphDriver: { Data: NIL_MAP, Name: "" },
  };
  return withOmitted(members, omitted);
}

/** Members that are always there, so that templates may ask for them. */
const USUAL = {
  User: "",
  Env: NIL_SLICE,
  Cmd: NIL_SLICE,
  Image: "",
  Volumes: NIL_MAP,
  WorkingDir: "",
  Entrypoint: NIL_SLICE,
  OnBuild: NIL_SLICE,
  Labels: NIL_MAP,
};
/** Members that JSON has only where they are set. */
const OMITTED = {
  Hostname: "",
  Domainname: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  ArgsEscaped: false,
  ExposedPorts: NIL_MAP,
  Healthcheck: null,
  StopSignal: "",
  StopTimeout: null,
  Shell: NIL_SLICE,
};
/** Those that are maps in Go. */
const MAPS = ["ExposedPorts", "Volumes", "Labels"];

function dockerConfig(config: ImageDetails["config"]["config"]): Readonly<Record<string, unknown>> {
  const given = Object.entries(config).filter(([, value]) => value !== undefined && value !== null);
  const members: Record<string, unknown> = { ...USUAL, ...Object.fromEntries(given) };
  for (const name of MAPS) {
    const value = members[name];
    if (typeof value === "object" && value !== null && !(value instanceof Map))
      members[name] = new Map(Object.entries(value));
  }
  return withOmitted(members, OMITTED);
}

/** MEMBERS with those of ABSENT that it lacks: templates may ask for them, but JSON doesn't show them (Go's `omitempty`). */
function withOmitted(
  members: Readonly<Record<string, unknown>>,
  absent: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const hidden = Object.entries(absent).filter(([name]) => !Object.hasOwn(members, name));
  return Object.defineProperties({ ...members }, Object.fromEntries(hidden.map(([name, value]) => [name, { value }])));
}
