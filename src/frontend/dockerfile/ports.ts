import { isIP } from "node:net";
import { EngineError } from "../../base/index.js";

const PORT_MAX = 65_535;
const PROTOCOLS = new Set(["tcp", "udp", "sctp"]);

/**
 * What a word of EXPOSE opens: `8000-8001/udp` is `8000/udp` and `8001/udp`. An address and a port of the host may stand before
 * it, and mean nothing. Throws `invalid`.
 */
export function exposedPorts(word: string): readonly string[] {
  const parts = word.split(":");
  const last = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  const address = parts.join(":");
  const [port = "", protocol] = cut(last, "/");
  if (port === "") throw invalid(`invalid port: ${JSON.stringify(word)}: no port specified`);
  const name = (protocol || "tcp").toLowerCase();
  if (!PROTOCOLS.has(name)) throw invalid(`invalid port: ${JSON.stringify(word)}: invalid proto: ${protocol}`);
  const bare = address.replace(/^\[(.*)\]$/, "$1");
  if (bare !== "" && (isIP(bare) === 0 || bare.includes("%"))) throw invalid(`invalid IP address: ${bare}`);
  const range = portRange(port);
  if (range === undefined) throw invalid(`invalid containerPort: ${port}`);
  if (host !== "") refuseHostRange(host, port, range);
  return Array.from({ length: range.end - range.start + 1 }, (_, index) => `${range.start + index}/${name}`);
}

interface PortRange {
  readonly start: number;
  readonly end: number;
}

function refuseHostRange(host: string, port: string, range: PortRange): void {
  const hostRange = portRange(host);
  if (hostRange === undefined) throw invalid(`invalid hostPort: ${host}`);
  const length = range.end - range.start;
  if (length !== 0 && length !== hostRange.end - hostRange.start) {
    throw invalid(`invalid ranges specified for container and host Ports: ${port} and ${host}`);
  }
}

function portRange(text: string): PortRange | undefined {
  const [first = "", second] = cut(text, "-");
  const start = portNumber(first);
  const end = second === undefined ? start : portNumber(second);
  return start === undefined || end === undefined || end < start ? undefined : { start, end };
}

function portNumber(text: string): number | undefined {
  const port = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
  return port <= PORT_MAX ? port : undefined;
}

function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}
