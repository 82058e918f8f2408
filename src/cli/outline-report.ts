import type { OutlineReport } from "../engine/index.js";
import { tabulated } from "./aligned-columns.js";
import type { CallAnswer } from "./call.js";
import { locationJson, sourceData } from "./source-location.js";

/** What a target can be given, as `docker buildx build --call=outline` tells it. */
export function answerOutline(outline: OutlineReport): CallAnswer {
  return { json: outlineJson(outline), text: outlineText(outline), version: "1.0.0" };
}

type Mount = OutlineReport["secrets"][number];

/** In Go's form: what is empty is left out. */
function outlineJson({ name, description, args, secrets, ssh, source }: OutlineReport): object {
  return {
    name: name || undefined,
    description: description || undefined,
    args: nonEmpty(
      args.map((arg) => ({
        name: arg.name,
        description: arg.description || undefined,
        value: arg.value || undefined,
        location: locationJson(arg.location),
      })),
    ),
    secrets: nonEmpty(secrets.map(mountJson)),
    ssh: nonEmpty(ssh.map(mountJson)),
    sources: [sourceData(source)],
  };
}

function mountJson({ name, required, location }: Mount): object {
  return { name, required: required || undefined, location: locationJson(location) };
}

function nonEmpty<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length > 0 ? items : undefined;
}

/** Blanks between two columns. */
const GAP = 3;

function outlineText({ name, description, args, secrets, ssh }: OutlineReport): string {
  const heading = [["TARGET:", name || "(default)"], ...(description ? [["DESCRIPTION:", description]] : [])];
  const table = (...rows: readonly (readonly string[])[]) => `${tabulated(rows, GAP)}\n`;
  const argRows = args.map((arg) => [arg.name, arg.value ?? "", arg.description ?? ""]);
  const mountRows = (mounts: readonly Mount[]) => mounts.map((each) => [each.name, each.required ? "true" : ""]);
  return [
    name || description ? `${tabulated(heading, 1)}\n` : "",
    args.length > 0 ? table(["BUILD ARG", "VALUE", "DESCRIPTION"], ...argRows) : "",
    secrets.length > 0 ? table(["SECRET", "REQUIRED"], ...mountRows(secrets)) : "",
    ssh.length > 0 ? table(["SSH", "REQUIRED"], ...mountRows(ssh)) : "",
  ].join("");
}
