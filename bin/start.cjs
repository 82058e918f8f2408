"use strict";
// Runs the bundle with V8's compiled code from a file beside it: compiling is half of what starting costs. The first build that finds none
// writes it, where it may write there at all; every command reads it. Whoever can change that file can change the bundle itself.
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const vm = require("node:vm");

/** The command that writes it: what it has compiled by its end holds most of what the others need. */
const WRITER = "build";

/** Where the compiled code lies. V8 tells another version or other flags by itself, but of another text only its length: the time is in the name. */
function codeFile(bundle) {
  const { size, mtimeMs } = fs.statSync(bundle);
  return `${bundle}.${process.version}-${process.arch}-${size}-${Math.round(mtimeMs)}.v8`;
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Keeps the code of all functions that were compiled so far. Not being able to is no failure. */
function keep(script, file) {
  const temporary = `${file}.${process.pid}`;
  try {
    fs.writeFileSync(temporary, script.createCachedData());
    fs.renameSync(temporary, file);
  } catch {
    fs.rmSync(temporary, { force: true });
  }
}

/** Runs BUNDLE as the main module. */
function start(bundle) {
  const file = codeFile(bundle);
  const cachedData = readIfThere(file);
  // The bundle's text is ASCII but for comments; read as bytes it comes in one piece.
  const script = new vm.Script(Module.wrap(fs.readFileSync(bundle).latin1Slice()), {
    filename: bundle,
    cachedData,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  if (process.argv[2] === WRITER && (cachedData === undefined || script.cachedDataRejected)) {
    process.on("exit", (code) => code === 0 && keep(script, file));
  }
  const main = new Module(bundle, null);
  main.filename = bundle;
  main.paths = Module._nodeModulePaths(path.dirname(bundle));
  script.runInThisContext().call(main.exports, main.exports, Module.createRequire(bundle), main, bundle, path.dirname(bundle));
}

module.exports = { start };
