/** The command line is wrong: what the user typed, in one sentence. The process exits with 125, as docker's does. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
