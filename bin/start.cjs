"use strict";
// Runs a bundle with V8's compiled code from a file beside it: compiling is half of what starting costs. The file is made by the build, and
// V8 itself refuses what another version or other text made; then the bundle is compiled as ever. Nothing is written here.
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const vm = require("node:vm");

/** Where the compiled code of FILE lies for this Node. */
function cacheFile(file) {
  return file.replace(/\.cjs$/, `.${process.version}-${process.arch}.v8`);
}

function read(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Compiles FILE as require does. */
function compile(file) {
  const cachedData = read(cacheFile(file));
  return new vm.Script(Module.wrap(fs.readFileSync(file, "utf8")), {
    filename: file,
    cachedData,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

/** Runs FILE as the main module. */
function start(file) {
  const script = compile(file);
  const main = new Module(file, null);
  main.filename = file;
  main.paths = Module._nodeModulePaths(path.dirname(file));
  const require_ = Module.createRequire(file);
  script.runInThisContext().call(main.exports, main.exports, require_, main, file, path.dirname(file));
  if (process.env.ASHLAR_TRACE_START) console.error("rejected:", script.cachedDataRejected);
  return script;
}

module.exports = { start, cacheFile };
