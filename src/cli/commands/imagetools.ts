import fs from "node:fs";
import path from "node:path";
import { EngineError } from "../../base/index.js";
import type { CreatedImage, CreateImageRequest, ImageReport, ReportDetail } from "../../engine/index.js";
import type { ProgressMode } from "../build-request.js";
import { dockerConfigFile } from "../docker-config.js";
import { failureOf } from "../failure.js";
import { compileTemplate, TemplateError } from "../go-template/index.js";
import { imageReportData } from "../image-report-data.js";
import { imageReportText } from "../image-report-text.js";
import { annotationAttributes } from "../output-flag.js";
import { createRenderer } from "../renderers.js";
import { listenForStop, untilStopped } from "../stopping.js";
import type { Surroundings } from "../surroundings.js";
import { UsageError } from "../usage-error.js";
import { parseChoice } from "../values.js";
import { writeResultFile } from "../write-file.js";

export interface InspectFlags {
  readonly raw?: boolean;
  readonly format?: string;
}

export interface CreateFlags {
  readonly file?: readonly string[];
  readonly tag?: readonly string[];
  readonly annotation?: readonly string[];
  readonly platform?: readonly string[];
  readonly dryRun?: boolean;
  readonly append?: boolean;
  readonly preferIndex?: boolean;
  readonly progress?: string;
  readonly metadataFile?: string;
  readonly debug?: boolean;
}

/** `ashlar imagetools inspect NAME`: what an image in a registry is. */
export async function inspectImageCommand(
  { raw = false, format }: InspectFlags,
  name: string,
  surroundings: Surroundings,
): Promise<number> {
  if (raw && format !== undefined) throw new UsageError("format and raw cannot be used together");
  const { inspectImage } = await import("../../engine/index.js");
  return untilStopped(surroundings, async (signal) => {
    const asked = { name: absolute(name, surroundings), detail: detailOf(format), signal };
    const report = await inspectImage(asked, registrySurroundings(surroundings));
    const { stdout } = surroundings;
    // Its digest is that of these bytes: no line's end is added.
    if (raw) stdout.write(Buffer.from(report.raw));
    else stdout.write(format === undefined || isWhole(format) ? imageReportText(report) : formatted(report, format));
    return 0;
  });
}

/** `ashlar imagetools create -t NAME SOURCE…`: one image of several. */
export async function createImageCommand(
  flags: CreateFlags,
  words: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const request = requestOf(flags, words, surroundings);
  const mode = parseChoice(flags.progress ?? "auto", "--progress", PROGRESS_MODES);
  const renderer = createRenderer(mode, surroundings, flags.debug ?? false);
  using stopping = listenForStop(surroundings);
  const { createImage } = await import("../../engine/index.js");
  try {
    const asked = { ...request, signal: stopping.signal, onProgress: renderer.emit.bind(renderer) };
    const created = await createImage(asked, registrySurroundings(surroundings));
    renderer.finish({ kind: "silent" });
    if (flags.dryRun) surroundings.stdout.write(`${Buffer.from(created.bytes).toString()}\n`);
    else if (flags.metadataFile)
      writeResultFile(flags.metadataFile, `${JSON.stringify(metadataOf(created), undefined, 2)}`);
    return stopping.exitCode() ?? 0;
  } catch (error) {
    renderer.finish(failureOf(error, flags.debug ?? false));
    return stopping.exitCode() ?? 1;
  }
}

/** What commands that ask registries have of the world. */
export function registrySurroundings(surroundings: Surroundings) {
  const { env, homeDirectory } = surroundings;
  return { env: { HOME: homeDirectory, ...env }, dockerConfig: dockerConfigFile(surroundings) };
}

const PROGRESS_MODES: readonly ProgressMode[] = ["auto", "tty", "plain", "quiet", "none", "rawjson"];
/** Bytes of a file with a source. */
const SOURCE_BYTES_MAX = 1024 * 1024;
const LAYOUT_SCHEME = "oci-layout://";

function requestOf(flags: CreateFlags, words: readonly string[], surroundings: Surroundings): CreateImageRequest {
  const { file = [], tag = [], annotation = [], platform = [], dryRun = false, append = false, preferIndex } = flags;
  const sources = [...file.map(readSource), ...words.map((word) => absolute(word, surroundings))];
  return {
    sources,
    tags: tag,
    append,
    annotations: annotationAttributes(annotation),
    preferIndex: preferIndex ?? true,
    platforms: platform.flatMap((each) => each.split(",")),
    dryRun,
  };
}

function readSource(file: string): string {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new EngineError("not-found", `open ${file}: no such file or directory`);
  if (stat.size > SOURCE_BYTES_MAX)
    throw new EngineError("invalid", `${file} is larger than ${SOURCE_BYTES_MAX} bytes`);
  return fs.readFileSync(file, "utf8").trim();
}

/** A layout's directory counts from the working directory. */
function absolute(name: string, { cwd }: Surroundings): string {
  return name.startsWith(LAYOUT_SCHEME) ? LAYOUT_SCHEME + path.resolve(cwd, name.slice(LAYOUT_SCHEME.length)) : name;
}

/** The template that stands for no template at all. */
function isWhole(format: string): boolean {
  return /^\{\{\s*\.Manifest\s*\}\}$/.test(format.trim());
}

/** What a template needs to be known. */
function detailOf(format: string | undefined): ReportDetail {
  if (format === undefined || isWhole(format)) return "document";
  return /\b(?:SBOM|Provenance)\b/.test(format) ? "statements" : "images";
}

function formatted(report: ImageReport, format: string): string {
  const isJson = format === "json";
  const { data, functions } = imageReportData(report);
  try {
    const text = compileTemplate(isJson ? "{{json .}}" : format, functions).render(data);
    return isJson ? `${text}\n` : text;
  } catch (error) {
    if (error instanceof TemplateError) throw new EngineError("invalid", `template parsing error: ${error.message}`);
    throw error;
  }
}

function metadataOf({ descriptor, repositories }: CreatedImage): object {
  return { "containerimage.descriptor": descriptor, "image.name": repositories.join(",") };
}
