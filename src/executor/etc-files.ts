import type { StepProcess } from "./executor.js";

/** Stands for an address among extra hosts: this machine's, as the step reaches it. */
export const HOST_GATEWAY = "host-gateway";

/** The /etc/hosts a step sees: itself on the loopback, then what the build added. GATEWAY is where it finds this machine. */
export function hostsFile(
  { hostname, extraHosts }: Pick<StepProcess, "hostname" | "extraHosts">,
  gateway: string,
): string {
  const lines = [
    ["127.0.0.1", `localhost ${hostname}`],
    ["::1", "localhost ip6-localhost ip6-loopback"],
    ...extraHosts.map(({ host, ip }) => [ip === HOST_GATEWAY ? gateway : ip, host]),
  ];
  return lines.map((line) => `${line.join("\t")}\n`).join("");
}
