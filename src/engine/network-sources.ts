import os from "node:os";
import path from "node:path";
import type { Clock } from "../base/index.js";
import type { HttpClient, ProxyOptions } from "../registry/index.js";
import type { DataPlane, StateDirs } from "../snapshot/index.js";
import {
  createGitProgram,
  createGitSource,
  createHttpEntities,
  createWebClient,
  type GitSource,
  type HttpEntities,
} from "../sources/index.js";
import type { Database } from "../store/index.js";
import type { EngineOptions } from "./request.js";

type Environment = NonNullable<EngineOptions["env"]>;

/** What an engine has for sources that are neither images nor directories. */
export interface NetworkSources {
  /** The caller closes it. */
  readonly web: HttpClient;
  readonly entities: HttpEntities;
  readonly gitSource: GitSource;
}

export interface NetworkSourcesOptions {
  readonly env: Environment;
  readonly searchPath: string;
  readonly plane: DataPlane;
  readonly dirs: StateDirs;
  readonly database: Database;
  readonly clock: Clock;
}

/** Wires them up; nothing is loaded or started before it is used. */
export function createNetworkSources(options: NetworkSourcesOptions): NetworkSources {
  const { env, searchPath, plane, dirs, database, clock } = options;
  const trust = { file: env.SSL_CERT_FILE, extraFile: env.NODE_EXTRA_CA_CERTS };
  const git = createGitProgram({
    spawner: plane,
    searchPath,
    proxyEnv: proxyVariables(env),
    certificates: env.SSL_CERT_FILE,
    knownHosts: knownHosts(dirs.git, env.HOME ?? os.homedir()),
    async programs() {
      const { requireProgram } = await import("../executor/index.js");
      const find = (name: string, debianPackage: string) => requireProgram(name, searchPath, debianPackage);
      return {
        git: find("git", "git"),
        setpriv: find("setpriv", "util-linux"),
        unshare: find("unshare", "util-linux"),
      };
    },
  });
  return {
    web: createWebClient(trust, proxyOf(env)),
    entities: createHttpEntities(database, clock),
    gitSource: createGitSource({ git, directory: dirs.git, clock }),
  };
}

/** How the environment says the network is reached; the small names win, as in curl. */
export function proxyOf(env: Environment): ProxyOptions | undefined {
  const [http, https, none] = ["http_proxy", "https_proxy", "no_proxy"].map(
    (name) => env[name] ?? env[name.toUpperCase()],
  );
  if (!http && !https) return undefined;
  return { ...(http ? { http } : {}), ...(https ? { https } : {}), ...(none ? { none } : {}) };
}

/** The same for a program of its own. */
function proxyVariables(env: Environment): Record<string, string> {
  const names = ["http_proxy", "https_proxy", "no_proxy", "all_proxy"].flatMap((name) => [name, name.toUpperCase()]);
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

/** Where hosts are known by their keys: the engine's own file, and those of the user and the machine. */
function knownHosts(own: string, home: string): readonly string[] {
  return [path.join(own, "known_hosts"), path.join(home, ".ssh/known_hosts"), "/etc/ssh/ssh_known_hosts"];
}
