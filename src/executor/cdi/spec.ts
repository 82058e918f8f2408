import * as v from "valibot";
import { describeIssue, EngineError, messageOf } from "../../base/index.js";

/** A device that a file of the Container Device Interface (CDI, specs-go 1.0) describes, ready to be given to a step. */
export interface CdiDevice {
  /** `vendor.com/class=name`. */
  readonly name: string;
  /** `vendor.com/class`. */
  readonly kind: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The device's own edits. */
  readonly edits: CdiEdits;
  /** The file's, which every device of it needs once. */
  readonly shared: CdiEdits;
}

/** What a device changes about a step. */
export type CdiEdits = v.InferOutput<typeof EDITS>;
export type CdiDeviceNode = v.InferOutput<typeof DEVICE_NODE>;
export type CdiMount = v.InferOutput<typeof MOUNT>;
export type CdiHook = v.InferOutput<typeof HOOK>;

const ID = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff));
const ABSOLUTE = v.pipe(v.string(), v.startsWith("/", "not an absolute path"));
const ITEMS_MAX = 4096;
const list = <T extends v.GenericSchema>(item: T) => v.optional(v.pipe(v.array(item), v.maxLength(ITEMS_MAX)), []);

const DEVICE_NODE = v.strictObject({
  path: ABSOLUTE,
  hostPath: v.optional(ABSOLUTE),
  type: v.optional(v.picklist(["b", "c", "u", "p", ""])),
  major: v.optional(ID, 0),
  minor: v.optional(ID, 0),
  fileMode: v.optional(ID),
  permissions: v.optional(v.pipe(v.string(), v.regex(/^[rwm]*$/))),
  uid: v.optional(ID),
  gid: v.optional(ID),
});

const MOUNT = v.strictObject({
  hostPath: ABSOLUTE,
  containerPath: ABSOLUTE,
  options: list(v.string()),
  type: v.optional(v.string()),
});

const HOOK = v.strictObject({
  hookName: v.picklist(["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]),
  path: ABSOLUTE,
  args: list(v.string()),
  env: list(v.string()),
  timeout: v.optional(v.pipe(v.number(), v.integer())),
});

/** Strict: a step that gets half of what its device needs is worse than one that is refused. */
const EDITS = v.strictObject({
  env: list(v.pipe(v.string(), v.regex(/^[^=\0]+=[^\0]*$/, "no KEY=value"))),
  deviceNodes: list(DEVICE_NODE),
  mounts: list(MOUNT),
  hooks: list(HOOK),
  additionalGids: list(ID),
});

const ANNOTATIONS = v.optional(v.record(v.string(), v.string()), {});
const DEVICE_NAME = v.pipe(v.string(), v.regex(/^[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/, "no name of a device"));
const KIND = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\/[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/,
    "no kind of the form VENDOR/CLASS",
  ),
);

const DOCUMENT = v.strictObject({
  cdiVersion: v.pipe(v.string(), v.regex(/^v?[01]\.\d+\.\d+$/, "unknown version")),
  kind: KIND,
  annotations: ANNOTATIONS,
  devices: v.pipe(
    v.array(v.strictObject({ name: DEVICE_NAME, annotations: ANNOTATIONS, containerEdits: v.optional(EDITS, {}) })),
    v.maxLength(ITEMS_MAX),
  ),
  containerEdits: v.optional(EDITS, {}),
});

/** The devices in the text of a CDI file, in YAML where FILE's name says so, else in JSON. Throws EngineError `invalid`. */
export async function parseCdi(text: string, file: string): Promise<readonly CdiDevice[]> {
  let document: v.InferOutput<typeof DOCUMENT>;
  try {
    const read = file.endsWith(".yaml") ? (await import("./yaml.js")).readCdiYaml(text) : JSON.parse(text);
    document = v.parse(DOCUMENT, await read);
  } catch (cause) {
    const wrong = v.isValiError(cause) ? describeIssue(cause.issues[0]) : messageOf(cause);
    throw new EngineError("invalid", `${file}: ${wrong}`, { cause });
  }
  const { kind, annotations, containerEdits: shared, devices } = document;
  return devices.map((device) => ({
    name: `${kind}=${device.name}`,
    kind,
    annotations: { ...annotations, ...device.annotations },
    edits: device.containerEdits,
    shared,
  }));
}
