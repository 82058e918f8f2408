import type { InstructionCause } from "../../base/index.js";
import { excerpts } from "./excerpt.js";
import type { StepNode } from "./node.js";
import { changed, isEqual, list, memberDifference, members } from "./op-members.js";
import { plainText } from "./shown.js";
import { type Written, writtenIn } from "./written.js";

/** What of the commands of two processes differs: the shell that has them, what it is told, or both. */
export function commandDifference(older: StepNode, newer: StepNode): readonly InstructionCause[] {
  const [was, is] = [argsOf(older), argsOf(newer)];
  if (isEqual(was, is)) return [];
  const [oldText, text] = [writtenIn(older), writtenIn(newer)];
  const [oldForm, form] = [oldText?.form ?? "shell", text?.form ?? "shell"];
  if (oldForm === "exec" && form === "exec") return [changed("command", ...excerpts(wordsOf(was), wordsOf(is)))];
  // Without its shell a command is not the same arguments.
  if (oldForm === "exec" || form === "exec") return memberDifference(oldText?.rest, text?.rest, "command");
  const shell = memberDifference(was.slice(0, -1).join(" "), is.slice(0, -1).join(" "), "SHELL");
  const [oldCommand, command] = [was.at(-1), is.at(-1)];
  const isSameText = oldText !== undefined && oldText.rest === text?.rest;
  if (oldCommand === command || (isSameText && shell.length > 0)) return shell;
  if (isHeredocOf(oldText, text)) return [...shell, changed("heredoc", undefined, undefined)];
  const isScript = oldForm === "heredoc" || form === "heredoc";
  return [
    ...shell,
    ...(isScript && !isSameText
      ? memberDifference(oldText?.rest, text?.rest, "command")
      : memberDifference(oldCommand, command, "command")),
  ];
}

function argsOf({ op }: StepNode): readonly unknown[] {
  return list(members(members(members(op).exec).meta).args);
}

/** As an exec form has them. */
function wordsOf(args: readonly unknown[]): string {
  return JSON.stringify(args.map((arg) => plainText(String(arg))));
}

/** Whether two instructions differ only in the lines of their heredocs. */
function isHeredocOf(older: Written | undefined, newer: Written | undefined): boolean {
  return newer !== undefined && newer.head === older?.head && newer.head.includes("<<");
}
