/** How to reach a registry. */
export type HostOptions =
  | { readonly scheme: "http" }
  | {
      readonly scheme: "https";
      /** Certificate authorities in PEM, trusted besides the usual ones. */
      readonly ca?: string;
      /** `false`: trust any certificate. */
      readonly verify?: boolean;
    };

/** The options of a registry nobody said anything about: plain HTTP on this machine, else HTTPS. */
export function defaultHostOptions(registry: string): HostOptions {
  const name = registry.replace(/:\d+$/, "");
  const isHere = name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(name);
  return { scheme: isHere ? "http" : "https" };
}

/** Where the API of REGISTRY is: Docker Hub's is at another host than its name says. */
export function baseUrl(registry: string, options: HostOptions): URL {
  return new URL(`${options.scheme}://${registry === "docker.io" ? "registry-1.docker.io" : registry}/v2/`);
}
