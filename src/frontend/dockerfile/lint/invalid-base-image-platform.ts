import { quote } from "../quote.js";
import { fileFinding, type Rule } from "./rule.js";

/** A base image for another platform than the stage's. */
export const invalidBaseImagePlatform: Rule = {
  name: "InvalidBaseImagePlatform",
  description: "Base image platform does not match expected target platform",
  url: undefined,
  needs: "build",
  *check({ stages }) {
    for (const { node, facts } of stages) {
      if (!facts.platformMismatch) continue;
      const { image, actual, expected } = facts.platformMismatch;
      const found = `was pulled with platform ${quote(actual)}, expected ${quote(expected)} for current build`;
      yield fileFinding(node.from, `Base image ${image} ${found}`);
    }
  },
};
