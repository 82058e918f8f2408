import type koffiModule from "koffi";
import { loadAddon } from "./addon.js";

/** The C library of the process, and koffi, which calls into it. */
export interface Libc {
  readonly koffi: typeof koffiModule;
  /** Looks a function up: `func(name, result, arguments)`. */
  readonly libc: ReturnType<typeof koffiModule.load>;
}

/** Opened at first use, once a thread. Throws what the dynamic linker says where koffi has no addon for this machine. */
export function cLibrary(): Libc {
  opened ??= openLibrary();
  return opened;
}

/** Whether this thread has needed it yet. */
export function hasCLibrary(): boolean {
  return opened !== undefined;
}

let opened: Libc | undefined;

function openLibrary(): Libc {
  const koffi = loadAddon({
    name: "koffi",
    file: `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
  }) as typeof koffiModule;
  return { koffi, libc: koffi.load(null) };
}
