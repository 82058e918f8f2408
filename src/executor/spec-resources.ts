import type { StepDeviceNode } from "./cdi/index.js";
import type { StepProcess, StepResources } from "./executor.js";

/** `linux.resources` of the OCI runtime spec, as far as a step uses it. */
export interface SpecResources {
  readonly devices: readonly DeviceRule[];
  readonly memory?: { readonly limit?: number; readonly swap?: number };
  readonly cpu?: {
    readonly shares?: number;
    readonly period?: number;
    readonly quota?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly type?: "a" | "b" | "c";
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

/** What a step may use of the machine: no device but those of RULES and the runtime's own, or for an insecure one all. */
export function specResources(
  { security, resources = {} }: Pick<StepProcess, "security" | "resources">,
  rules: readonly DeviceRule[],
): SpecResources {
  const { memoryBytes, memorySwapBytes, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } = resources;
  const memory = withoutUndefined({ limit: memoryBytes, swap: memorySwapBytes });
  const cpu = withoutUndefined({
    shares: cpuShares,
    period: cpuPeriod,
    quota: cpuQuota,
    cpus: cpusetCpus,
    mems: cpusetMems,
  });
  return { devices: [deviceRule(security === "insecure"), ...rules], ...(memory && { memory }), ...(cpu && { cpu }) };
}

/** The rules that let a step use NODES. */
export function deviceRules(nodes: readonly StepDeviceNode[]): readonly DeviceRule[] {
  return nodes.flatMap(({ type, major, minor, access }) =>
    type === "p" ? [] : { allow: true, type, major, minor, access },
  );
}

/** The controllers of control groups that keep the bounds of RESOURCES. */
export function controllersOf(resources: StepResources): readonly string[] {
  const { memoryBytes, memorySwapBytes, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } = resources;
  const bounds = {
    memory: [memoryBytes, memorySwapBytes],
    cpu: [cpuShares, cpuPeriod, cpuQuota],
    cpuset: [cpusetCpus, cpusetMems],
  };
  return Object.entries(bounds).flatMap(([name, each]) => (each.some((bound) => bound !== undefined) ? [name] : []));
}

function deviceRule(allow: boolean): DeviceRule {
  return { allow, ...(allow ? { type: "a" } : {}), access: "rwm" };
}

type Defined<T> = { readonly [Key in keyof T]?: Exclude<T[Key], undefined> };

/** OBJECT without what is undefined; undefined if nothing is left. */
function withoutUndefined<T extends object>(object: T): Defined<T> | undefined {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as Defined<T>);
}
