import { lazy, messageOf } from "../base/index.js";
import { type CachePolicy, type DiskSpace, type SizeBound, targetBytes } from "../cache/index.js";
import { formatBytes } from "../progress/index.js";
import { AgingStamp } from "./aging-stamp.js";
import { loadCachePolicies } from "./cache-config.js";
import { collect, diskOf, ripeAt } from "./collection.js";
import { shares } from "./excess.js";
import { growth } from "./growth.js";
import { type Inventory, ownBytes } from "./inventory.js";
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
/** Of what running steps write to, so many files are looked at. */
const GROWING_ENTRIES_MAX = 5_000;

class Keeper implements CacheKeeper {
  readonly #options: KeeperOptions;
  readonly #policies: () => Promise<readonly CachePolicy[]>;
  readonly #stamp: AgingStamp;
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
    this.#stamp = new AgingStamp(engine.dirs.root);
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
      await this.#keep(true, false);
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
      await this.#keep(isBusy, hasAdded);
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

  /** Makes room where there is too much; IS_END: also looks through everything for its age, where that was not done for long. */
  async #keep(isBusy: boolean, isEnd: boolean): Promise<void> {
    const engine = { ...this.#options.engine, isBusy: () => isBusy };
    const policies = await this.#policies();
    const used = await this.#used();
    const disk = diskOf(engine);
    const over = policies.filter((policy) => isOver(policy, used, disk));
    const broken = over.filter(({ keepDurationMs }) => keepDurationMs === 0);
    const isAging = this.#isAging(policies, over.length > broken.length, isEnd);
    const due = isAging ? policies : used > this.#leastBytes * (1 + SLACK) ? broken : [];
    if (due.length === 0) return;
    const [giveUp, ...others] = this.#attending;
    if (over.length > 0 && others.length === 0) await giveUp?.();
    if (isAging) this.#stamp.write(policies, 0);
    const { left } = await collect(
      engine,
      due.map((policy) => (over.includes(policy) ? withSlack(policy) : policy)),
    );
    this.#slow = UNKNOWN;
    if (isAging) this.#stamp.write(policies, ripeAt(left, policies, { now: engine.clock.now(), disk: diskOf(engine) }));
    const unmet = broken.find((policy) => isOver(policy, left.totalBytes, disk));
    this.#leastBytes = unmet ? left.totalBytes : 0;
    if (unmet) this.#complain(left, unmet);
  }

  /** Whether what is old enough is to be looked for: where there is too much, once there may be some; else for its age alone. */
  #isAging(policies: readonly CachePolicy[], isOver: boolean, isEnd: boolean): boolean {
    const now = this.#options.engine.clock.now();
    const { at, ripeAt } = this.#stamp.read(policies);
    return (isOver && now >= ripeAt) || (isEnd && Math.abs(now - at) >= AGING_MS);
  }

  #complain(left: Inventory, unmet: CachePolicy): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const { root } = this.#options.engine.dirs;
    const bound = targetBytes(unmet, left.totalBytes, diskOf(this.#options.engine)) ?? 0;
    const has = `the state directory ${root} has ${formatBytes(left.totalBytes)}, more than the ${formatBytes(bound)} it may have`;
    this.#options.onExcess(`${has}: what is left can't be removed now (${shares(left, unmet)})`);
  }

  /** About what the state directory has. */
  async #used(): Promise<number> {
    const { database, dirs, clock } = this.#options.engine;
    const layers = database.get<{ bytes: number; count: number }>(
      "SELECT coalesce(sum(size_bytes), 0) AS bytes, count(*) AS count FROM layer WHERE state <> 'lazy'",
    );
    if (Math.abs(clock.now() - this.#slow.at) >= SLOW_LOOK_MS) {
      const parts = [dirs.blobs, dirs.git, dirs.logs, dirs.contexts];
      const still = parts.reduce((sum, part) => sum + bytesOnDiskBelow(part), ownBytes(this.#options.engine));
      const bytes = still + (await growth(this.#options.engine, GROWING_ENTRIES_MAX));
      this.#slow = { at: clock.now(), bytes };
    }
    const metadata = ["", "-wal", "-shm"].reduce((sum, suffix) => sum + bytesOnDisk(dirs.database + suffix), 0);
    return (layers?.bytes ?? 0) + (layers?.count ?? 0) * LAYER_DIRECTORIES_BYTES + this.#slow.bytes + metadata;
  }
}

/** Whether there is more than POLICY wants, were it all old enough and meant. */
function isOver(policy: CachePolicy, usedBytes: number, disk: DiskSpace): boolean {
  return (targetBytes(policy, usedBytes, disk) ?? usedBytes) < usedBytes;
}

function withSlack(policy: CachePolicy): CachePolicy {
  const { maxUsedBytes } = policy;
  return maxUsedBytes === undefined ? policy : { ...policy, maxUsedBytes: Math.floor(maxUsedBytes * (1 - SLACK)) };
}
