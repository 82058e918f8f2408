import { unreachable } from "../base/index.js";

/** How to reach a registry. */
export type HostOptions =
  | { readonly scheme: "http" }
  | ({ readonly scheme: "https" } & TlsOptions)
  /** HTTPS with any certificate, or plain HTTP where no TLS is spoken. */
  | ({ readonly scheme: "insecure" } & TlsOptions);

export interface TlsOptions {
  /** Certificate authorities in PEM, trusted besides the usual ones. */
  readonly ca?: string;
  /** Who we are, for servers that ask; in PEM. */
  readonly clientCertificates?: readonly ClientCertificate[];
  /** `false`: trust any certificate. */
  readonly verify?: boolean;
}

export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** What somebody said about registries, by their names in references: `localhost:5000`. */
export interface HostSource {
  /** Undefined for one that nobody said anything about. Errors: `invalid` for malformed configuration. */
  get(registry: string): HostOptions | undefined;
  /** Where else to read from, before the registry itself: `HOST[:PORT][/PATH]`. Errors as of `get`. */
  mirrors?(registry: string): readonly string[];
}

/** The options of a registry nobody said anything about: plain HTTP on this machine, else HTTPS. */
export function defaultHostOptions(registry: string): HostOptions {
  return { scheme: isThisMachine(registry) ? "http" : "https" };
}

/** Where the API of REGISTRY is: Docker Hub's is at another host than its name says. */
export function baseUrl(registry: string, options: HostOptions): URL {
  return new URL(`${schemeOf(options)}://${registry === "docker.io" ? "registry-1.docker.io" : registry}/v2/`);
}

function isThisMachine(registry: string): boolean {
  const name = registry.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

function schemeOf(options: HostOptions): "http" | "https" {
  switch (options.scheme) {
    case "http":
      return "http";
    case "https":
    case "insecure":
      return "https";
    default:
      return unreachable(options);
  }
}
