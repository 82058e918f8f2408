import type { CdiDevice, DeviceRequest, StepDevices } from "./cdi/index.js";

export interface DeviceOptions {
  /** Where devices are described, later ones win; absent: the usual places. */
  readonly directories?: readonly string[] | undefined;
  /** What the caller of the build allows: `device`, `device=NAME[,alias=ALIAS]` among others. */
  readonly entitlements: Iterable<string>;
}

/**
 * Whether a step may have the devices it REQUESTS (CDI). Throws EngineError `not-found` for a required device that nobody describes,
 * `denied` for one that is not allowed.
 */
export async function checkDevices(requests: readonly DeviceRequest[], options: DeviceOptions): Promise<void> {
  await granted(requests, options);
}

/** What a step of USER gets with them. Throws as `checkDevices`, and `unavailable` where what is described is not there. */
export async function devicesFor(
  requests: readonly DeviceRequest[],
  { user, ...options }: DeviceOptions & { readonly user: { readonly uid: number; readonly gid: number } },
): Promise<StepDevices> {
  const devices = await granted(requests, options);
  if (devices.length === 0) return { env: [], nodes: [], mounts: [], hooks: [], groups: [] };
  return (await import("./cdi/index.js")).stepDevices(devices, user);
}

async function granted(
  requests: readonly DeviceRequest[],
  { directories, entitlements }: DeviceOptions,
): Promise<readonly CdiDevice[]> {
  if (requests.length === 0) return [];
  const { CDI_DIRECTORIES, deviceAllowance, grantDevices, readCdi } = await import("./cdi/index.js");
  return grantDevices(requests, await readCdi(directories ?? CDI_DIRECTORIES), deviceAllowance(entitlements));
}
