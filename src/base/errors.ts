/** What kind of failure it is; code decides on this, never on the text. */
export type ErrorCode =
  | "invalid"
  | "not-found"
  | "already-exists"
  | "denied"
  | "unavailable"
  | "unsupported"
  | "canceled"
  | "no-space"
  | "data-loss"
  /** Something changed while it was read: it may work when tried again. */
  | "changed"
  | "failed"
  | "internal";

/** One failure with a closed code, a sentence for people and, where there is one, its cause. */
export class EngineError extends Error {
  readonly code: ErrorCode;
  /** What the user can do about it, one sentence, shown on a line of its own. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { readonly hint?: string }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.hint = options?.hint;
  }
}

/** The default of a switch over a union that must be exhaustive. */
export function unreachable(value: never): never {
  throw new EngineError("internal", `unhandled case ${JSON.stringify(value)}`);
}

/** The `code` of an error: an EngineError's own, `canceled` for aborts, `no-space` for ENOSPC and EDQUOT. */
export function errorCode(error: unknown): ErrorCode {
  if (error instanceof EngineError) return error.code;
  if (error instanceof Error && error.name === "AbortError") return "canceled";
  switch (systemCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return "no-space";
    case "ENOENT":
    case "ENOTDIR":
      return "not-found";
    case "EACCES":
    case "EPERM":
      return "denied";
    default:
      return "internal";
  }
}

/** The errno name (`ENOENT`) of a system error, if it is one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The error that came first. Where clean-up failed after it, `using` throws a SuppressedError, whose `suppressed` it is: clean-up never
 * hides what went wrong.
 */
export function firstError(error: unknown): unknown {
  let first = error;
  while (first instanceof Error && first.name === "SuppressedError" && "suppressed" in first) first = first.suppressed;
  return first;
}

/** The reason of an abort as an EngineError with code `canceled`, keeping an EngineError as it is. */
export function canceled(signal: AbortSignal): EngineError {
  const { reason } = signal;
  return reason instanceof EngineError ? reason : new EngineError("canceled", "canceled", { cause: reason });
}

/** The last argument of every asynchronous port method. */
export interface AbortOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What LOOK sees of a file; undefined where it is gone, or lies where nobody may look: as in a user namespace. */
export function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES", "ENAMETOOLONG"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}
