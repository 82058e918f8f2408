import type { StepProcess } from "./executor.js";

/** The /etc/hosts a step sees: itself on the loopback, then what the build added. */
export function hostsFile({ hostname, extraHosts }: Pick<StepProcess, "hostname" | "extraHosts">): string {
  const lines = [
    ["127.0.0.1", `localhost ${hostname}`],
    ["::1", "localhost ip6-localhost ip6-loopback"],
    ...extraHosts.map(({ host, ip }) => [ip, host]),
  ];
  return lines.map((line) => `${line.join("\t")}\n`).join("");
}
