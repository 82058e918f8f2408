import type { ExposeInstruction, Range } from "../ast.js";
import { converted, type LintContext } from "./rule.js";

/** A word of EXPOSE: `[ip:][host:]container[/protocol]`. */
export interface ExposedPort {
  readonly instruction: ExposeInstruction;
  readonly text: string;
  /** Where it stands, if it is there as it is. */
  readonly range: Range | undefined;
  /** Its place among the words of the instruction. */
  readonly index: number;
  /** Whether an address or a port of the host stands before the container's port. */
  readonly hasMapping: boolean;
  readonly protocol: string;
}

/** The words of every EXPOSE, in the order in which they are read, up to the first that is none. */
export function* exposedPorts(context: LintContext): Generator<ExposedPort> {
  for (const { instruction, stage } of converted(context, "expose")) {
    const words = stage.facts.expanded.get(instruction) ?? instruction.ports.map((port) => port.text).sort();
    for (const [index, text] of words.entries()) {
      const parts = text.split(":");
      const [, port = "", protocol = ""] = /^([^/]*)\/?(.*)$/s.exec(parts.pop() ?? "") ?? [];
      if (port === "" || !/^(tcp|udp|sctp|)$/i.test(protocol)) break;
      const host = parts.pop() ?? "";
      const range = instruction.ports.find((written) => written.text === text)?.range;
      yield { instruction, text, range, index, hasMapping: host !== "" || parts.join(":") !== "", protocol };
    }
  }
}
