import fs from "node:fs";

/** Settings that keep ordinary users from making user namespaces: the file, the value that does, and what helps. */
const SETTINGS = [
  ["/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"],
  ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"],
  [
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "1",
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
  ],
] as const;

/** What an administrator can change where user namespaces are refused. */
export function namespaceAdvice(): string {
  const help = SETTINGS.filter(([file, value]) => read(file) === value).map(([, , command]) => command);
  if (help.length > 0) return `let ordinary users make user namespaces, as root: ${help.join(", ")}`;
  return "let ordinary users make user namespaces (in a container, its seccomp and AppArmor profiles decide), or run ashlar as root";
}

function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "utf8").trim();
  } catch {
    return undefined; // this kernel has no such setting
  }
}
