import type { ExposeInstruction } from "../ast.js";
import { converted, type LintContext } from "./rule.js";

/** A word of EXPOSE: `[ip:][host:]container[/protocol]`. */
export interface ExposedPort {
  readonly instruction: ExposeInstruction;
  readonly text: string;
  /** What stands before the container's port. */
  readonly mapping: string;
  readonly protocol: string;
}

/** The words of every EXPOSE, in the order in which they are read, up to the first that is none. */
export function* exposedPorts(context: LintContext): Generator<ExposedPort> {
  for (const { instruction, stage } of converted(context, "expose")) {
    const words = stage.facts.expanded.get(instruction) ?? instruction.ports.map((port) => port.text).sort();
    for (const text of words) {
      const colon = text.lastIndexOf(":");
      const [port = "", protocol = ""] = text.slice(colon + 1).split("/", 2);
      if (port === "" || !/^(tcp|udp|sctp|)$/i.test(protocol)) break;
      yield { instruction, text, mapping: text.slice(0, Math.max(0, colon)).replace(/^:+$/, ""), protocol };
    }
  }
}
