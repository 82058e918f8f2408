import { unreachable } from "../base/index.js";
import type { Chown, CopyAction, FileAction, FileOp, UserName } from "./op.js";
import {
  boolean,
  bytes,
  type Field,
  integer,
  message,
  nested,
  repeated,
  requiredInteger,
  text,
  texts,
} from "./protobuf.js";

/** A file op as BuildKit's `pb.FileOp`. */
export function fileBytes({ actions }: FileOp): Uint8Array {
  return message(repeated(2, actions, actionBytes));
}

/** What a server must know to run it. */
export function fileCaps({ actions }: FileOp): readonly string[] {
  return ["file.base", ...actions.flatMap(({ action }) => actionCaps(action))];
}

/** Times on the wire are in nanoseconds; -1 is none, as here. */
const NANOSECONDS_PER_SECOND = 1_000_000_000n;
const NONE = -1;

function actionBytes({ input, secondaryInput, output, action }: FileAction): Uint8Array {
  return message(integer(1, input), integer(2, secondaryInput), integer(3, output), actionField(action));
}

function actionField(action: FileAction["action"]): Field {
  switch (action.kind) {
    case "copy":
      return nested(4, copyBytes(action));
    case "mkfile":
      return nested(
        5,
        message(text(1, action.path), integer(2, action.mode), bytes(3, action.data), ...ownerAndTime(4, action)),
      );
    case "mkdir":
      return nested(
        6,
        message(
          text(1, action.path),
          integer(2, action.mode),
          boolean(3, action.makeParents),
          ...ownerAndTime(4, action),
        ),
      );
    case "rm":
      return nested(
        7,
        message(text(1, action.path), boolean(2, action.allowNotFound), boolean(3, action.allowWildcard)),
      );
    case "symlink":
      return nested(8, message(text(1, action.oldPath), text(2, action.newPath), ...ownerAndTime(3, action)));
    default:
      return unreachable(action);
  }
}

function copyBytes(action: CopyAction): Uint8Array {
  return message(
    text(1, action.src),
    text(2, action.dest),
    nested(3, action.owner && chownBytes(action.owner)),
    integer(4, action.modeStr ? 0 : (action.mode ?? NONE)),
    boolean(5, action.followSymlink),
    boolean(6, action.dirCopyContents),
    boolean(7, action.attemptUnpack),
    boolean(8, action.createDestPath),
    boolean(9, action.allowWildcard),
    boolean(10, action.allowEmptyWildcard),
    time(11, action.timestamp),
    texts(12, action.includePatterns),
    texts(13, action.excludePatterns),
    boolean(14, action.alwaysReplaceExistingDestPaths),
    text(15, action.modeStr),
    texts(16, action.requiredPaths),
  );
}

function ownerAndTime(
  number: number,
  { owner, timestamp }: { readonly owner?: Chown; readonly timestamp: number },
): readonly Field[] {
  return [nested(number, owner && chownBytes(owner)), time(number + 1, timestamp)];
}

/** SECONDS may have a fraction. */
function time(number: number, seconds: number): Field {
  if (seconds === NONE) return integer(number, NONE);
  const whole = Math.floor(seconds);
  const fraction = Math.round((seconds - whole) * Number(NANOSECONDS_PER_SECOND));
  return integer(number, BigInt(whole) * NANOSECONDS_PER_SECOND + BigInt(fraction));
}

function chownBytes({ user, group }: Chown): Uint8Array {
  return message(nested(1, user && userBytes(user)), nested(2, group && userBytes(group)));
}

function userBytes(user: UserName): Uint8Array {
  switch (user.kind) {
    case "id":
      return message(requiredInteger(2, user.id));
    case "name":
      return message(nested(1, message(text(1, user.name), integer(2, user.input))));
    default:
      return unreachable(user);
  }
}

function actionCaps(action: FileAction["action"]): readonly string[] {
  switch (action.kind) {
    case "copy":
      return [
        ...(action.includePatterns || action.excludePatterns ? ["file.copy.includeexcludepatterns"] : []),
        ...(action.requiredPaths ? ["file.copy.requiredpaths"] : []),
        ...(action.alwaysReplaceExistingDestPaths ? ["file.copy.alwaysreplaceexistingdestpaths"] : []),
        ...(action.modeStr ? ["file.copy.modestring"] : []),
      ];
    case "rm":
      return action.allowWildcard ? ["file.rm.wildcard"] : [];
    case "symlink":
      return ["file.symlink.create"];
    case "mkfile":
    case "mkdir":
      return [];
    default:
      return unreachable(action);
  }
}
