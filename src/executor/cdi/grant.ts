import { EngineError } from "../../base/index.js";
import type { CdiRegistry } from "./registry.js";
import type { CdiDevice } from "./spec.js";

/** A device as `RUN --device` names it. */
export interface DeviceRequest {
  readonly name: string;
  readonly optional: boolean;
}

/** The devices that the caller of a build allows: all, or those by their names; an alias stands for another name. */
export interface DeviceAllowance {
  readonly all: boolean;
  readonly names: readonly string[];
  readonly aliases: ReadonlyMap<string, string>;
}

const AUTO_ALLOW_ANNOTATION = "org.mobyproject.buildkit.device.autoallow";

/** What the entitlements say: `device`, `device=NAME`, `device=NAME,alias=ALIAS`; others are none of its business. */
export function deviceAllowance(entitlements: Iterable<string>): DeviceAllowance {
  let all = false;
  const names: string[] = [];
  const aliases = new Map<string, string>();
  for (const entitlement of entitlements) {
    const [, value] = /^device(?:=(.*))?$/.exec(entitlement) ?? [undefined, undefined];
    if (entitlement === "device" || value === "") all = true;
    if (!value) continue;
    const [name = "", ...options] = value.split(",");
    const alias = options.find((option) => option.startsWith("alias="))?.slice("alias=".length);
    if (alias) aliases.set(alias, name);
    else names.push(name);
  }
  return { all, names, aliases };
}

/** The devices that REQUESTS get, each once. Throws `not-found` for a required one that is not there, `denied` for one that is not allowed. */
export function grantDevices(
  requests: readonly DeviceRequest[],
  registry: CdiRegistry,
  allowance: DeviceAllowance,
): readonly CdiDevice[] {
  const granted = new Map<string, CdiDevice>();
  const forbidden = new Set<string>();
  const allowed = new Set(allowance.names.flatMap((name) => registry.find(name)).map(({ name }) => name));
  for (const { name, optional } of requests) {
    const alias = allowance.aliases.get(name);
    const devices = registry.find(alias ?? name);
    if (devices.length === 0 && !optional) throw missing(alias ?? name, registry);
    for (const device of devices) {
      if (allowance.all || alias !== undefined || allowed.has(device.name) || allowsItself(device))
        granted.set(device.name, device);
      else forbidden.add(device.name);
    }
  }
  if (forbidden.size > 0) throw denied([...forbidden]);
  return [...granted.values()];
}

function allowsItself({ annotations }: CdiDevice): boolean {
  return /^(1|t|true)$/i.test(annotations[AUTO_ALLOW_ANNOTATION] ?? "");
}

function missing(name: string, { complaints }: CdiRegistry): EngineError {
  const hint = complaints.length === 0 ? {} : { hint: complaints.join("\n") };
  return new EngineError("not-found", `required device ${JSON.stringify(name)} is not registered`, hint);
}

function denied(names: readonly string[]): EngineError {
  const what = names.length === 1 ? `device ${names[0]} is` : `devices ${names.join(", ")} are`;
  const hint = `allow it with ${names.map((name) => `--allow device=${name}`).join(" ")}`;
  return new EngineError("denied", `${what} requested by the build but not allowed`, { hint });
}
