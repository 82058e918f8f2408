import type { FrontendRequest } from "../frontend.js";
import { mistake } from "./place.js";

/** Lines of a Dockerfile: far more than anyone has written, and few enough that reading them doesn't hold up the process for long. */
const MAX_LINES = 200_000;

/** Refuses a file of too many lines before it is looked at. Throws a DiagnosticError at the first that is too much. */
export function refuseTooLong({ dockerfile: { name, text } }: FrontendRequest): void {
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  if (lines <= MAX_LINES) return;
  const position = { line: MAX_LINES + 1, character: 0 };
  const message = `the Dockerfile has ${lines} lines, at most ${MAX_LINES} are allowed`;
  throw mistake(message, { file: name, range: { start: position, end: position } });
}
