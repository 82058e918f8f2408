import { spawn } from "node:child_process";
import {
  type AbortOptions,
  canceled,
  EngineError,
  findExecutable,
  messageOf,
  searchDirectories,
} from "../base/index.js";
import type { Credential } from "./credentials.js";

/** A program that keeps credentials, by Docker's protocol: `docker-credential-NAME get|store|erase`. */
export interface CredentialHelper {
  /** What it keeps for SERVER, undefined if that is nothing. Errors: `unavailable` if the program fails, whose own words may hold secrets and aren't told, `canceled`. */
  get(server: string, options?: AbortOptions): Promise<Credential | undefined>;
  store(server: string, credential: Credential, options?: AbortOptions): Promise<void>;
  /** Nothing happens if it keeps nothing for SERVER. */
  erase(server: string, options?: AbortOptions): Promise<void>;
}

/** Where programs are found and what they find around them. */
export interface HelperSurroundings {
  readonly searchPath: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The helper NAME (`pass`, `ecr-login`). The program is looked for when it is first needed; `invalid` for a name that is a path. */
export function credentialHelper(name: string, surroundings: HelperSurroundings): CredentialHelper {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name))
    throw new EngineError("invalid", `${JSON.stringify(name)} is no name of a credential helper`);
  const ask = (action: Action, input: string, options?: AbortOptions): Promise<Answer> =>
    runHelper(`docker-credential-${name}`, { action, input }, surroundings, options);
  return {
    async get(server, options) {
      const answer = await ask("get", server, options);
      if (answer.code === 0) return parseAnswer(name, answer.output);
      if (NOTHING_KEPT.test(answer.output)) return undefined;
      throw failure(name, "getting", answer);
    },
    async store(server, credential, options) {
      const [username, secret] =
        credential.kind === "password" ? [credential.username, credential.password] : [TOKEN_USER, credential.token];
      const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
      const answer = await ask("store", input, options);
      if (answer.code !== 0) throw failure(name, "storing", answer);
    },
    async erase(server, options) {
      const answer = await ask("erase", server, options);
      if (answer.code !== 0 && !NOTHING_KEPT.test(answer.output)) throw failure(name, "erasing", answer);
    },
  };
}

type Action = "get" | "store" | "erase";

interface Answer {
  readonly code: number | null;
  readonly output: string;
}

/** The user's name that says the secret is a token. */
const TOKEN_USER = "<token>";
/** Bytes of an answer. */
const OUTPUT_BYTES_MAX = 64 * 1024;
/** How long a helper may take: it may ask its user to unlock something. Milliseconds. */
const HELPER_TIMEOUT_MS = 60_000;
/** What the helpers say if they have nothing (docker-credential-helpers, `credentials/error.go`). */
const NOTHING_KEPT = /credentials not found in native keychain|no credentials (?:server URL|username)/;

function runHelper(
  program: string,
  { action, input }: { readonly action: Action; readonly input: string },
  { searchPath, env }: HelperSurroundings,
  { signal }: AbortOptions = {},
): Promise<Answer> {
  const file = findExecutable(program, searchDirectories(searchPath));
  if (file === undefined) {
    throw new EngineError("unavailable", `error getting credentials: ${program} is not on the search path`, {
      hint: `install ${program}, or take it out of docker's config.json`,
    });
  }
  return new Promise((resolve, reject) => {
    const child = spawn(file, [action], { env: { ...env }, stdio: ["pipe", "pipe", "ignore"] });
    const chunks: Uint8Array[] = [];
    let size = 0;
    const end = (error: EngineError): void => {
      child.kill("SIGKILL");
      reject(error);
    };
    const timer = setTimeout(() => {
      end(new EngineError("unavailable", `${program} ${action} took more than ${HELPER_TIMEOUT_MS / 1000} s`));
    }, HELPER_TIMEOUT_MS);
    const abort = (): void => end(signal ? canceled(signal) : new EngineError("canceled", "canceled"));
    signal?.addEventListener("abort", abort, { once: true });
    child.stdout.on("data", (chunk: Uint8Array) => {
      size += chunk.length;
      if (size > OUTPUT_BYTES_MAX) end(new EngineError("invalid", `${program} ${action} answered too much`));
      else chunks.push(chunk);
    });
    child.stdin.on("error", () => undefined); // one that doesn't read what it is asked says so by its exit code
    child.on("error", (cause) =>
      end(new EngineError("unavailable", `${program} can't be run: ${messageOf(cause)}`, { cause })),
    );
    child.on("close", (code) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      resolve({ code, output: Buffer.concat(chunks).toString() });
    });
    child.stdin.end(input);
  });
}

function parseAnswer(name: string, output: string): Credential | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    // The parser's message would quote the secret.
    throw new EngineError("invalid", `docker-credential-${name} answered with what is no JSON document`);
  }
  const { Username: username, Secret: secret } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof username !== "string" || typeof secret !== "string" || secret === "") return undefined;
  if (username === TOKEN_USER) return { kind: "identity-token", token: secret };
  return username === "" ? undefined : { kind: "password", username, password: secret };
}

/** Standard output is where secrets stand: of what a helper says there, only the known complaints are told. */
function failure(name: string, doing: string, { code, output }: Answer): EngineError {
  const complaint = COMPLAINTS.exec(output)?.[0];
  const ended = code === null ? "was killed" : `ended with ${code}`;
  return new EngineError(
    "unavailable",
    `error ${doing} credentials: docker-credential-${name} ${ended}${complaint === undefined ? "" : `: ${complaint}`}`,
    { hint: `run docker-credential-${name} by hand to see what it says` },
  );
}

/** What the helpers of docker say where something is missing that isn't a credential. */
const COMPLAINTS =
  /pass not initialized|The name org\.freedesktop\.secrets was not provided|Cannot autolaunch D-Bus|[Uu]ser interaction is not allowed/;
