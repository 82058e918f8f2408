import { quote } from "../quote.js";
import type { Rule } from "./rule.js";

/** A base image, or one that files are taken from, for another platform than it is used on. */
export const invalidBaseImagePlatform: Rule = {
  name: "InvalidBaseImagePlatform",
  description: "Base image platform does not match expected target platform",
  url: undefined,
  phase: "resolve",
  *check({ facts }) {
    for (const { image, actual, expected, range, culprit } of facts?.platformMismatches ?? []) {
      const found = `was pulled with platform ${quote(actual)}, expected ${quote(expected)} for current build`;
      yield { message: `Base image ${image} ${found}`, range, culprit, at: undefined };
    }
  },
};
