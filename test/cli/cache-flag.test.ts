import { expect, test } from "vitest";
import { parseCaches } from "../../src/cli/cache-flag.js";

const NOWHERE = { env: {}, cwd: "/work" };

test("names without a key are places in registries", () => {
  expect(parseCaches(["user/app:cache", "a,b:1"], NOWHERE)).toEqual([
    { type: "registry", attrs: { ref: "user/app:cache" } },
    { type: "registry", attrs: { ref: "a" } },
    { type: "registry", attrs: { ref: "b:1" } },
  ]);
});

test("a type has its attributes, whose directories are the caller's", () => {
  expect(parseCaches(['type=local,dest=out,"Tag=a,b"', "type=registry,ref=a,mode=max"], NOWHERE)).toEqual([
    { type: "local", attrs: { dest: "/work/out", tag: "a,b" } },
    { type: "registry", attrs: { ref: "a", mode: "max" } },
  ]);
});

test("what S3 and GitHub need is taken from the environment where the flag does not say it", () => {
  const env = { AWS_REGION: "eu", AWS_BUCKET: "b", AWS_ACCESS_KEY_ID: "k", AWS_SECRET_ACCESS_KEY: "s" };
  expect(parseCaches(["type=s3,region=us"], { env, cwd: "/" })).toEqual([
    { type: "s3", attrs: { bucket: "b", region: "us", access_key_id: "k", secret_access_key: "s" } },
  ]);
  const github = { ACTIONS_RESULTS_URL: "https://x", ACTIONS_RUNTIME_TOKEN: "t" };
  expect(parseCaches(["type=gha,scope=main"], { env: github, cwd: "/" })).toEqual([
    { type: "gha", attrs: { url_v2: "https://x", token: "t", scope: "main" } },
  ]);
  expect(parseCaches(["type=gha"], NOWHERE)).toEqual([]);
});

test("other flags are refused as what is wrong with a cache, and an empty one is none", () => {
  const refused = (message: string) => expect.objectContaining({ code: "invalid", message });
  expect(() => parseCaches(["mode=max"], NOWHERE)).toThrow(refused('type required for "mode=max"'));
  expect(() => parseCaches(["type=,mode=max"], NOWHERE)).toThrow(refused('type required for "type=,mode=max"'));
  expect(() => parseCaches(["type=local,out"], NOWHERE)).toThrow("invalid value out");
  expect(parseCaches(["", "a"], NOWHERE)).toEqual([{ type: "registry", attrs: { ref: "a" } }]);
});
