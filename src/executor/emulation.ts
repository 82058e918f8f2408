import fs from "node:fs";
import path from "node:path";

/** What a machine must have to run programs of PLATFORM; names as in OCI's descriptors. */
export interface Emulation {
  readonly host: Machine;
  readonly platform: Machine;
  /** Where the kernel lists its handlers (binfmt_misc). */
  readonly handlers?: string;
}

interface Machine {
  readonly os: string;
  readonly architecture: string;
}

const HANDLERS = "/proc/sys/fs/binfmt_misc";

/**
 * What to do where a step of another platform could not run: undefined where the machine runs such programs, by itself or through a
 * handler that the kernel opened when it was registered (flag F), so that it is found in any root file system.
 */
export function emulationHint({ host, platform, handlers = HANDLERS }: Emulation): string | undefined {
  if (platform.os !== "linux" || runsNatively(platform.architecture, host.architecture)) return undefined;
  const program = QEMU_NAMES.get(platform.architecture) ?? platform.architecture;
  const handler = readHandler(path.join(handlers, `qemu-${program}`));
  const what = `this machine (${host.architecture}) can't run programs for ${platform.architecture}`;
  if (handler === undefined)
    return `${what}; install an emulator: apt-get install qemu-user-static binfmt-support, or docker run --privileged tonistiigi/binfmt --install ${platform.architecture}`;
  if (!handler.enabled) return `${what}: its handler qemu-${program} in ${handlers} is disabled`;
  if (!handler.isFixed)
    return `${what} in other root file systems: register qemu-${program} in ${handlers} with the flag F (Debian's qemu-user-static does)`;
  return undefined;
}

/** Architectures as OCI names them, and as qemu does where that differs. */
const QEMU_NAMES = new Map([
  ["amd64", "x86_64"],
  ["386", "i386"],
  ["arm64", "aarch64"],
  ["loong64", "loongarch64"],
  ["mips64le", "mips64el"],
  ["mipsle", "mipsel"],
]);

/** Kernels for 64 bits run the 32 bits of their family. */
function runsNatively(architecture: string, host: string): boolean {
  if (architecture === host) return true;
  return (host === "amd64" && architecture === "386") || (host === "arm64" && architecture === "arm");
}

function readHandler(file: string): { readonly enabled: boolean; readonly isFixed: boolean } | undefined {
  try {
    const text = fs.readFileSync(file, "utf8");
    return { enabled: /^enabled$/m.test(text), isFixed: /^flags: .*F/m.test(text) };
  } catch {
    return undefined;
  }
}
