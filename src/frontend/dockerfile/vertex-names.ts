import { formatPlatform, normalizePlatform, type Platform, parsePlatform } from "../../oci/index.js";
import type { VariableSource } from "./expand.js";

/** Gives the vertices of a stage the lines they are shown as: `[build 2/5] RUN make`. */
export interface VertexNames {
  /** The next step, shown as TEXT. VARIABLES tell what the stage builds for. */
  next(text: string, options: NameOptions): string;
  /** Another vertex of the step that was named last. */
  same(text: string, options: NameOptions): string;
}

interface NameOptions {
  readonly trigger: boolean;
  readonly variables: VariableSource;
}

export interface StageNaming {
  /** Empty for the only stage of a file. */
  readonly label: string;
  /** How many steps are counted. */
  readonly total: number;
  /** Shown where several platforms are built. */
  readonly platform: Platform | undefined;
}

export function createVertexNames({ label, total, platform }: StageNaming): VertexNames {
  let current = 0;
  const width = String(total).length;
  const same = (text: string, { trigger, variables }: NameOptions): string => {
    if (total === 0) return text;
    const shown = platform === undefined ? "" : `${formatPlatform(platform)}${crossTarget(platform, variables)} `;
    const place = `${String(current).padStart(width)}/${total}`;
    return `[${shown}${label === "" ? "" : `${label} `}${place}] ${trigger ? "ONBUILD " : ""}${text}`;
  };
  return {
    same,
    next(text, options) {
      current++;
      return same(text, options);
    },
  };
}

/** TEXT with its first word in capitals. */
export function capitalized(text: string): string {
  const blank = text.indexOf(" ");
  return blank < 0 ? text.toUpperCase() : text.slice(0, blank).toUpperCase() + text.slice(blank);
}

/** `->amd64` where a stage runs on PLATFORM and its arguments say that it builds for another. */
function crossTarget(platform: Platform, variables: VariableSource): string {
  const target = declaredTarget(platform, variables);
  if (target === undefined) return "";
  if (target.os !== platform.os) return `->${formatPlatform(target)}`;
  if (target.architecture === platform.architecture) return "";
  return `->${[target.architecture, target.variant].filter(Boolean).join("/")}`;
}

function declaredTarget(platform: Platform, variables: VariableSource): Platform | undefined {
  const whole = variables.get("TARGETPLATFORM");
  try {
    if (whole !== undefined) return parsePlatform(whole, platform);
  } catch {
    // A --build-arg may hold anything; the name does without it then.
  }
  const [os, architecture, variant] = ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map((name) => variables.get(name));
  if (os === undefined && architecture === undefined && variant === undefined) return undefined;
  return normalizePlatform({ os: os || platform.os, architecture: architecture || platform.architecture, variant });
}
