import fs from "node:fs";
import path from "node:path";
import type { TestContext } from "vitest";
import { ASHLAR, type Ended, needs, REPOSITORY, type Running, type RunOptions, type World } from "./world.js";

/** The ordinary user that tests run as; the machine need not know them. */
export const USER_ID = 1000;
/** Another one. */
export const STRANGER_ID = 1001;

/** What the machine grants the user: a range of subordinate ids, or none; or ids, but not the programs that map them. */
export type Grant = "subordinate ids" | "no subordinate ids" | "no newuidmap";

export interface UserOptions extends RunOptions {
  readonly grant: Grant;
  readonly uid?: number;
  /** The machine lets them make no user namespace: nobody may in a changed root directory (user_namespaces(7)). */
  readonly noNamespaces?: boolean;
}

/**
 * Starts in a mount namespace of its own, in which the files of the machine say what the test wants of it, and becomes the user. What the
 * user could not reach (the repository below somebody's home, Node there) is bound where they can.
 */
const BECOME = `
  cd /
  printf 'root:x:0:0:root:/root:/bin/sh\\nbuilder:x:%s:%s::%s:/bin/sh\\n' "$TEST_UID" "$TEST_UID" "$HOME" > "$GROUND/passwd"
  mkdir -p "$GROUND/app" "$HOME"
  chown "$TEST_UID:$TEST_UID" "$HOME"
  : > "$GROUND/node"
  mount --bind "$REPOSITORY" "$GROUND/app"
  mount --bind "$NODE" "$GROUND/node"
  mount --bind "$GROUND/passwd" /etc/passwd
  printf '%s' "$SUBORDINATE" > "$GROUND/subid"
  for file in /etc/subuid /etc/subgid; do
    test -e $file || : > $file
    mount --bind "$GROUND/subid" $file
  done
  if test "$HIDE_NEWUIDMAP" = yes; then mount --bind "$GROUND/passwd" "$(command -v newuidmap)"; fi
  if test -e /dev/fuse; then
    test -e "$GROUND/fuse" || mknod -m 666 "$GROUND/fuse" c 10 229
    mount --bind "$GROUND/fuse" /dev/fuse
  fi
  shift
  enter=
  if test "$NO_NAMESPACES" = yes; then
    mkdir -p "$GROUND/rootfs"
    mount --rbind / "$GROUND/rootfs"
    printf '0\\n' > "$GROUND/none"
    mount --bind "$GROUND/none" "$GROUND/rootfs/proc/sys/user/max_user_namespaces"
    enter="chroot $GROUND/rootfs"
  fi
  exec $enter setpriv --reuid "$TEST_UID" --regid "$TEST_UID" --clear-groups -- "$GROUND/node" "$GROUND/app/bin/ashlar" "$@"
`;

/** Starts `ashlar WORDS` as an ordinary user, with the world's state directory and a home in it. */
export function startAs(
  world: World,
  words: readonly string[],
  { grant, uid = USER_ID, noNamespaces = false, ...options }: UserOptions,
): Running {
  const ground = world.path(`ground-${uid}`);
  fs.mkdirSync(ground, { recursive: true });
  fs.chmodSync(world.dir, 0o777);
  const env = {
    GROUND: ground,
    HOME: path.join(ground, "home"),
    REPOSITORY,
    NODE: process.execPath,
    SUBORDINATE: grant === "no subordinate ids" ? "" : `builder:${uid * 100_000}:65536\n`,
    HIDE_NEWUIDMAP: grant === "no newuidmap" ? "yes" : "no",
    NO_NAMESPACES: noNamespaces ? "yes" : "no",
    TEST_UID: String(uid),
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...options.env,
  };
  return world.start(words, {
    ...options,
    env,
    under: [...(options.under ?? []), "unshare", "-m", "sh", "-euc", BECOME, "sh"],
  });
}

/** Runs `ashlar build` as an ordinary user, as World's `build` does as root. */
export function buildAs(world: World, words: readonly string[], options: UserOptions): Promise<Ended> {
  return startAs(world, world.buildWords(words), options).ended;
}

/** Skips the test where ordinary users can't make user namespaces, or a program is missing. */
export function needsUser(context: TestContext, grant: Grant): void {
  if (process.getuid?.() !== 0) context.skip("only root can become another user");
  for (const [file, value] of FORBIDDING) {
    const found = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim() : undefined;
    if (found === value) context.skip(`ordinary users can't make user namespaces here: ${file} is ${value}`);
  }
  needs(context, "unshare", "setpriv", "runc", ...(grant === "subordinate ids" ? ["newuidmap", "newgidmap"] : []));
  if (!fs.existsSync(ASHLAR)) context.skip("ashlar is not built");
}

const FORBIDDING = [
  ["/proc/sys/user/max_user_namespaces", "0"],
  ["/proc/sys/kernel/unprivileged_userns_clone", "0"],
  ["/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"],
] as const;
