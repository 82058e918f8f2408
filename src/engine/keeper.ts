import fs from "node:fs";
import path from "node:path";
import { lazy, messageOf } from "../base/index.js";
import { type CachePolicy, type SizeBound, targetBytes } from "../cache/index.js";
import { formatBytes } from "../progress/index.js";
import { loadCachePolicies } from "./cache-config.js";
import { collect, diskOf } from "./collection.js";
import { type Inventory, ownBytes, type StoredItem } from "./inventory.js";
import type { PruneEngine } from "./prune.js";
import { bytesOnDisk, bytesOnDiskBelow } from "./room.js";

/** Holds the state directory to its bounds while builds add to it. */
export interface CacheKeeper {
  /**
   * A build is under way, until the outcome is disposed of. GIVE_UP ends its hold on what it has done with: asked where there is too much,
   * as long as no other build of this engine could take part in it.
   */
  attend(giveUp: () => Promise<void>): Disposable;
  /**
   * Something was added, BYTES of it as blobs: where that makes too much, what was not used for the longest time goes before this
   * settles. Never rejects.
   */
  added(bytes?: number): Promise<void>;
  /** Records were forgotten that can't be had any more: what they alone needed goes when the build has ended. */
  forgotten(): void;
  /** A build has ended and needs nothing any more; IS_BUSY: others of this engine are under way. Never rejects. */
  settle(isBusy: boolean): Promise<void>;
}

export interface KeeperOptions {
  readonly engine: PruneEngine;
  /** Where policies may be written. */
  readonly files: readonly string[];
  readonly maxUsed: SizeBound | undefined;
  /** Told a sentence of what is odd about the bounds. */
  readonly onNotice: (message: string) => void;
  /** Told a sentence when there is no way to keep within the bounds: once. */
  readonly onExcess: (message: string) => void;
}

/** Opens the keeper of a state directory. Nothing is looked at before something is added. */
export function openKeeper(options: KeeperOptions): CacheKeeper {
  return new Keeper(options);
}

/** So long what is there is not looked at again while steps end. Milliseconds. */
const LOOK_MS = 200;
/** So long what changes slowly is not measured again. Milliseconds. */
const SLOW_LOOK_MS = 5_000;
/** Between two times that everything is looked through for its age. Milliseconds. */
const AGING_MS = 3_600_000;
/** What is too much is brought down by this share more, so that not every step has to make room. */
const SLACK = 0.05;
/** A layer's directories. Bytes. */
const LAYER_DIRECTORIES_BYTES = 8192;
/** What changes slowly, before it is measured. */
const UNKNOWN = { at: Number.NEGATIVE_INFINITY, bytes: 0 };
/** Its time of change is when everything was looked through. */
const STAMP = "collected";

class Keeper implements CacheKeeper {
  readonly #options: KeeperOptions;
  readonly #policies: () => Promise<readonly CachePolicy[]>;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #slow = UNKNOWN;
  #hasAdded = false;
  #hasForgotten = false;
  /** No less could be reached: only when there is more it is tried again. Bytes. */
  #leastBytes = 0;
  #work: Promise<void> = Promise.resolve();
  readonly #attending = new Set<() => Promise<void>>();
  #isTold = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    const { engine, files, maxUsed } = options;
    this.#policies = lazy(async () => {
      try {
        return loadCachePolicies({ files, maxUsed, disk: diskOf(engine), onWarning: options.onNotice });
      } catch (error) {
        options.onNotice(`nothing is removed to keep the cache small: ${messageOf(error)}`);
        return [];
      }
    });
  }

  attend(giveUp: () => Promise<void>): Disposable {
    this.#attending.add(giveUp);
    return { [Symbol.dispose]: () => this.#attending.delete(giveUp) };
  }

  added(bytes = 0): Promise<void> {
    this.#hasAdded = true;
    this.#slow = { ...this.#slow, bytes: this.#slow.bytes + bytes };
    return this.#queue(async () => {
      const now = this.#options.engine.clock.now();
      if (bytes === 0 && Math.abs(now - this.#lookedAt) < LOOK_MS) return;
      this.#lookedAt = now;
      await this.#keepBounds(true);
    });
  }

  forgotten(): void {
    this.#hasForgotten = true;
  }

  settle(isBusy: boolean): Promise<void> {
    if (this.#hasForgotten) void this.#queue(() => this.#sweep(isBusy));
    const hasAdded = this.#hasAdded;
    // A bound of this engine's own may be less than there has been for long.
    if (!hasAdded && this.#options.maxUsed === undefined) return this.#work;
    return this.#queue(async () => {
      this.#hasAdded = false;
      this.#leastBytes = 0;
      this.#slow = UNKNOWN;
      await this.#keepBounds(isBusy);
      if (hasAdded) await this.#keepAges(isBusy);
    });
  }

  #queue(work: () => Promise<void>): Promise<void> {
    // What can't be removed now is tried again by the next build.
    this.#work = this.#work.then(work).catch(() => undefined);
    return this.#work;
  }

  async #sweep(isBusy: boolean): Promise<void> {
    this.#hasForgotten = false;
    const { removeUnused } = await import("./garbage.js");
    await removeUnused({ ...this.#options.engine, isBusy: () => isBusy }, {});
  }

  async #keepBounds(isBusy: boolean): Promise<void> {
    const engine = { ...this.#options.engine, isBusy: () => isBusy };
    const used = this.#used();
    const disk = diskOf(engine);
    const broken = (await this.#policies()).filter((policy) => policy.keepDurationMs === 0 && isOver(policy, used));
    if (broken.length === 0 || used <= this.#leastBytes * (1 + SLACK)) return;
    const [giveUp, ...others] = this.#attending;
    if (others.length === 0) await giveUp?.();
    const strict = broken.map((policy) => withSlack(policy));
    const { left } = await collect(engine, strict);
    const { totalBytes } = left;
    const unmet = broken.find((policy) => isOver(policy, totalBytes));
    this.#leastBytes = unmet ? totalBytes : 0;
    if (unmet) this.#complain(left, targetBytes(unmet, totalBytes, diskOf(engine)) ?? 0);

    function isOver(policy: CachePolicy, bytes: number): boolean {
      return (targetBytes(policy, bytes, disk) ?? bytes) < bytes;
    }
  }

  #complain(left: Inventory, bound: number): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const { root } = this.#options.engine.dirs;
    const has = `the state directory ${root} has ${formatBytes(left.totalBytes)}, more than the ${formatBytes(bound)} it may have`;
    this.#options.onExcess(`${has}: what is left can't be removed now (${shares(left)})`);
  }

  async #keepAges(isBusy: boolean): Promise<void> {
    const engine = { ...this.#options.engine, isBusy: () => isBusy };
    const stamp = path.join(engine.dirs.root, STAMP);
    const before = fs.statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Math.abs(engine.clock.now() - before) < AGING_MS) return;
    fs.writeFileSync(stamp, "");
    await collect(engine, await this.#policies());
  }

  /** About what the state directory has. */
  #used(): number {
    const { database, dirs, clock } = this.#options.engine;
    const layers = database.get<{ bytes: number; count: number }>(
      "SELECT coalesce(sum(size_bytes), 0) AS bytes, count(*) AS count FROM layer WHERE state <> 'lazy'",
    );
    if (Math.abs(clock.now() - this.#slow.at) >= SLOW_LOOK_MS) {
      const parts = [dirs.blobs, dirs.git, dirs.logs, dirs.contexts];
      const bytes = parts.reduce((sum, part) => sum + bytesOnDiskBelow(part), ownBytes(this.#options.engine));
      this.#slow = { at: clock.now(), bytes };
    }
    const metadata = ["", "-wal", "-shm"].reduce((sum, suffix) => sum + bytesOnDisk(dirs.database + suffix), 0);
    return (layers?.bytes ?? 0) + (layers?.count ?? 0) * LAYER_DIRECTORIES_BYTES + this.#slow.bytes + metadata;
  }
}

/** Who needs how much of what is there. */
function shares({ items, totalBytes }: Inventory): string {
  const sum = (holds: (item: StoredItem) => boolean) =>
    items.reduce((bytes, item) => bytes + (holds(item) ? item.entry.sizeBytes : 0), 0);
  const isImage = ({ entry }: StoredItem) => entry.type === "image" || entry.shared;
  const images = sum((item) => isImage(item));
  const builds = sum((item) => !isImage(item) && item.entry.inUse && item.thing.kind !== "fixed");
  const parts = [
    [builds, "running builds need"],
    [images, "belong to images with names"],
    [totalBytes - builds - images, "are the engine's own, or may be needed soon"],
  ] as const;
  return parts.flatMap(([bytes, what]) => (bytes > 0 ? [`${formatBytes(bytes)} ${what}`] : [])).join(", ");
}

function withSlack(policy: CachePolicy): CachePolicy {
  const { maxUsedBytes } = policy;
  return maxUsedBytes === undefined ? policy : { ...policy, maxUsedBytes: Math.floor(maxUsedBytes * (1 - SLACK)) };
}
