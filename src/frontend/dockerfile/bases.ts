import { type AbortOptions, EngineError } from "../../base/index.js";
import type { SourceOp } from "../../llb/index.js";
import { formatPlatform, type ImageConfig, type Platform } from "../../oci/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import { parseDockerignore } from "../dockerignore/index.js";
import type { FrontendBridge, NamedContext, ResolvedImage } from "../frontend.js";
import type { Range } from "./ast.js";
import type { ContextNames, FoundContext } from "./contexts.js";
import { fullImageName } from "./image-name.js";
import { parseInstructionText } from "./parser.js";
import { placed } from "./place.js";
import { type Origin, reachableStages, type Stage, type StagePlan, type Step } from "./stages.js";
import { didYouMean, suggest } from "./suggest.js";

/** What a name outside of the file stands for. */
export type External =
  | { readonly kind: "empty" }
  | {
      readonly kind: "image";
      /** The source, its digest pinned. */
      readonly identifier: string;
      readonly config: ImageConfig;
      /** The named context that it came by. */
      readonly context: string | undefined;
    }
  | { readonly kind: "local"; readonly name: string; readonly context: string; readonly excludes: readonly string[] }
  | { readonly kind: "source"; readonly op: SourceOp; readonly context: string };

/** Everything of the outside that the stages of TARGET need, and the steps that ONBUILD adds to them. */
export interface ResolvedBases {
  readonly reachable: ReadonlySet<Stage>;
  readonly triggers: ReadonlyMap<Stage, readonly Step[]>;
  /** What STAGE begins with or is replaced by; undefined where it begins with another stage. */
  base(stage: Stage): External | undefined;
  /** What the image ORIGIN stands for. */
  image(origin: Extract<Origin, { kind: "image" }>): External;
}

export interface BasesScope {
  readonly fileName: string;
  readonly plan: StagePlan;
  /** Undefined resolves all stages. */
  readonly target: Stage | undefined;
  readonly contexts: ContextNames;
  readonly targetPlatform: Platform;
  readonly bridge: FrontendBridge;
}

/**
 * Resolves what reachable stages begin with and copy from: each image once for a platform, all at the same time. ONBUILD
 * triggers may need further stages, which is why this goes round until nothing new turns up. Throws a DiagnosticError.
 */
export async function resolveBases(scope: BasesScope, options: AbortOptions): Promise<ResolvedBases> {
  const { plan, target, targetPlatform, fileName } = scope;
  const resolver = new Resolver(scope, options);
  const triggers = new Map<Stage, readonly Step[]>();
  const bases = new Map<Stage, External>();
  const images = new Map<string, External>();
  for (;;) {
    const reachable = target === undefined ? new Set(plan.stages) : reachableStages(target, triggers);
    // In the order of the file: the triggers of a stage may be triggers themselves for those built upon it.
    const fresh = plan.stages.filter((stage) => reachable.has(stage) && !triggers.has(stage));
    const origins = [...reachable]
      .flatMap((stage) => imagesOf(stage, triggers))
      .filter(({ name }) => !images.has(name));
    await settled([
      ...fresh.map(async (stage) => {
        const base = await resolver.base(stage);
        if (base !== undefined) bases.set(stage, base);
      }),
      ...origins.map(async ({ name, range, culprit }) => {
        images.set(name, await resolver.image(name, targetPlatform, range, culprit));
      }),
    ]);
    for (const stage of fresh) {
      const texts = stage.isReplaced ? [] : triggerTexts(stage, bases.get(stage), triggers);
      triggers.set(stage, triggerSteps(stage, texts, plan, fileName));
    }
    if (fresh.length === 0 && origins.length === 0) {
      return { reachable, triggers, base: (stage) => bases.get(stage), image: ({ name }) => images.get(name) ?? EMPTY };
    }
  }
}

const EMPTY: External = { kind: "empty" };
const IGNORE_FILE = ".dockerignore";
/** Names that people misspell when they name a base image. */
const COMMON_IMAGES = ["alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora"].flatMap((name) => [
  name,
  `${name}:latest`,
]);

/** Asks the bridge, each question once. */
class Resolver {
  readonly #scope: BasesScope;
  readonly #options: AbortOptions;
  readonly #images = new Map<string, Promise<ResolvedImage>>();
  readonly #ignores = new Map<string, Promise<readonly string[]>>();

  constructor(scope: BasesScope, options: AbortOptions) {
    this.#scope = scope;
    this.#options = options;
  }

  async base(stage: Stage): Promise<External | undefined> {
    const { base, node } = stage;
    const platform = stage.platform ?? this.#scope.targetPlatform;
    switch (base.kind) {
      case "stage":
        return undefined;
      case "scratch":
        return EMPTY;
      case "context":
        return this.#placed(node.from.range, () => this.#context(base.found, platform), node.from.image.range);
      case "image":
        return this.image(base.name, platform, node.from.range, node.from.image.range);
    }
  }

  image(name: string, platform: Platform, range: Range, culprit: Range | undefined): Promise<External> {
    return this.#placed(range, () => this.#image(name, platform), culprit);
  }

  async #image(name: string, platform: Platform): Promise<External> {
    if (name === "scratch") return EMPTY;
    const full = fullImageName(name);
    const found = this.#scope.contexts.find(full, platform);
    if (found !== undefined) return this.#context(found, platform);
    try {
      return await this.#resolved(`docker-image://${full}`, platform, undefined);
    } catch (error) {
      throw this.#unresolved(name, error);
    }
  }

  async #context({ name, context }: FoundContext, platform: Platform): Promise<External> {
    if (context.kind === "local") {
      return { kind: "local", name: context.name, context: name, excludes: await this.#ignored(context.name) };
    }
    if (context.kind === "image" && context.reference === "scratch") return EMPTY;
    if (context.kind === "source") return { kind: "source", op: context.op, context: name };
    return this.#resolved(identifierOf(context), platform, name);
  }

  async #resolved(named: string, platform: Platform, context: string | undefined): Promise<External> {
    const { identifier, config } = await this.#resolve(named, platform);
    if (config.os === "windows") throw new EngineError("unsupported", "images for Windows can't be used");
    return { kind: "image", identifier, config, context };
  }

  #resolve(identifier: string, platform: Platform): Promise<ResolvedImage> {
    const key = `${identifier} ${formatPlatform(platform)}`;
    const asked = this.#images.get(key) ?? this.#scope.bridge.resolveImageConfig(identifier, platform, this.#options);
    this.#images.set(key, asked);
    return asked;
  }

  #ignored(context: string): Promise<readonly string[]> {
    const asked = this.#ignores.get(context) ?? this.#readIgnoreFile(context);
    this.#ignores.set(context, asked);
    return asked;
  }

  async #readIgnoreFile(context: string): Promise<readonly string[]> {
    const bytes = await this.#scope.bridge.readFile(context, IGNORE_FILE, this.#options);
    return bytes === undefined ? [] : parseDockerignore(Buffer.from(bytes).toString("utf8"));
  }

  #unresolved(name: string, error: unknown): unknown {
    if (!(error instanceof EngineError) || error.code === "canceled") return error;
    const { code, hint } = error;
    const known = [...this.#scope.plan.stages.map((stage) => stage.label), ...COMMON_IMAGES];
    // Whatever went wrong: the name of a stage that is not there may be asked for without a network too.
    const message = `${name}: ${error.message}${didYouMean(name, known)}`;
    const stage = suggest(
      name.toLowerCase(),
      this.#scope.plan.stages.map(({ label }) => label),
    );
    const hints = [...(stage === undefined ? [] : [`The stage ${stage} was probably meant.`]), ...(hint ? [hint] : [])];
    return new EngineError(code, message, { cause: error, ...(hints.length === 0 ? {} : { hint: hints.join(" ") }) });
  }

  async #placed<T>(range: Range, ask: () => Promise<T>, culprit: Range | undefined): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw placed(error, { file: this.#scope.fileName, range, culprit });
    }
  }
}

function identifierOf(context: NamedContext): string {
  switch (context.kind) {
    case "image":
      return `docker-image://${fullImageName(context.reference)}`;
    case "layout":
      return context.identifier;
    default:
      throw new EngineError("internal", `a context of kind ${context.kind} is no image`);
  }
}

export function imagesOf(
  stage: Stage,
  triggers: ReadonlyMap<Stage, readonly Step[]>,
): readonly Extract<Origin, { kind: "image" }>[] {
  const images: Extract<Origin, { kind: "image" }>[] = [];
  for (const steps of [triggers.get(stage) ?? [], stage.steps]) {
    for (const { sources } of steps) for (const source of sources) if (source?.kind === "image") images.push(source);
  }
  return images;
}

/** The instructions that what STAGE begins with wants to be run in it, before its own. TRIGGERS are those of the stages before it. */
function triggerTexts(
  { base }: Stage,
  external: External | undefined,
  triggers: ReadonlyMap<Stage, readonly Step[]>,
): readonly string[] {
  if (base.kind !== "stage") return external?.kind === "image" ? (external.config.config?.OnBuild ?? []) : [];
  const steps = [...(triggers.get(base.stage) ?? []), ...base.stage.steps];
  return steps.flatMap(({ instruction }) => (instruction.kind === "onbuild" ? [instruction.trigger] : []));
}

function triggerSteps(stage: Stage, texts: readonly string[], plan: StagePlan, file: string): readonly Step[] {
  const { range } = stage.node.from;
  return texts.map((text) => {
    const { instruction, diagnostics } = parseInstructionText(text, { name: file, range });
    const [first, ...others] = diagnostics;
    if (first !== undefined) throw new DiagnosticError([first, ...others]);
    if (instruction === undefined) throw new EngineError("internal", `reading trigger ${JSON.stringify(text)}`);
    return plan.step(movedTo(range, instruction), true);
  });
}

/** A trigger stands where the FROM does that fires it: INSTRUCTION with RANGE as the place of all that is in it. */
function movedTo<T>(range: Range, instruction: T): T {
  if (Array.isArray(instruction)) return instruction.map((each) => movedTo(range, each)) as T;
  if (typeof instruction !== "object" || instruction === null) return instruction;
  const entries = Object.entries(instruction).map(([key, value]) => [
    key,
    key === "range" ? range : movedTo(range, value),
  ]);
  return Object.fromEntries(entries) as T;
}

/** Waits for all of TASKS, then throws the first failure in their order, if any. */
async function settled(tasks: readonly Promise<void>[]): Promise<void> {
  const failure = (await Promise.allSettled(tasks)).find((result) => result.status === "rejected");
  if (failure !== undefined) throw failure.reason;
}
