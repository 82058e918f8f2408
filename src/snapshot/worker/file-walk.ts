import type { BytePath } from "./bytes.js";
import type { JobContext } from "./context.js";
import type { Entry } from "./file-entry.js";
import { notFound } from "./file-errors.js";
import { FILTER_START, type Filter, type FilterState } from "./file-filter.js";
import { below } from "./file-paths.js";
import type { FileView } from "./file-view.js";

/** An entry met on a walk. */
export interface Met {
  /** Its plain path in the source. */
  readonly source: BytePath;
  /** The same from where the walk began, "" of that itself. */
  readonly relative: BytePath;
  readonly entry: Entry;
}

/** What is done with a selection; directories come before what is in them. */
export interface Visitor {
  /** A directory that is selected itself. */
  enter(directory: Met): void;
  /** The same after all that is in it. */
  leave(directory: Met): void;
  /** A directory that is not selected, as the parent of the first thing below it that is. */
  passThrough(directory: Met): void;
  /** Anything else that is selected. */
  visit(file: Met): void;
}

const ENTRIES_BETWEEN_CHECKS = 64;

/** Walks what FILTER selects from the plain path START on; START itself is always selected. */
export function walk(view: FileView, start: BytePath, filter: Filter, visitor: Visitor, context: JobContext): void {
  const entry = view.lstat(start);
  if (!entry) throw notFound(start);
  const pending: { readonly met: Met; passed: boolean }[] = [];
  let count = 0;

  const passThrough = () => {
    for (const parent of pending) {
      if (!parent.passed) visitor.passThrough(parent.met);
      parent.passed = true;
    }
  };
  const descend = (met: Met, selected: boolean, state: FilterState) => {
    if (selected) visitor.enter(met);
    pending.push({ met, passed: selected });
    for (const name of view.list(met.source)) {
      if (++count % ENTRIES_BETWEEN_CHECKS === 0) context.checkCanceled();
      step(below(met.source, name), below(met.relative, name), state);
    }
    pending.pop();
    if (selected) visitor.leave(met);
  };
  const step = (source: BytePath, relative: BytePath, parent: FilterState) => {
    const { selected, descend: mayHold, state } = filter.step(relative, parent);
    if (!selected && !mayHold) return;
    const found = view.lstat(source);
    if (!found) throw notFound(source);
    const isDirectory = found.kind === "dir";
    if (!selected && !isDirectory) return;
    if (selected) passThrough();
    const met = { source, relative, entry: found };
    if (isDirectory) descend(met, selected, state);
    else visitor.visit(met);
  };

  const top = { source: start, relative: "", entry };
  if (entry.kind === "dir") descend(top, true, FILTER_START);
  else visitor.visit(top);
}
