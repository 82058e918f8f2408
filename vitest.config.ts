import { defineConfig } from "vitest/config";

const E2E = "test/e2e/**/*.test.ts";
/** Tests that take minutes: `npm run test:deep`. */
const DEEP = "test/**/*.deep.test.ts";
const BASE_IMAGE = ["test/global-setup.ts", "test/e2e/setup.ts"];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    globalSetup: ["test/global-setup.ts"],
    projects: [
      { extends: true, test: { name: "unit", include: ["test/**/*.test.ts"], exclude: [E2E, DEEP] } },
      { extends: true, test: { name: "e2e", include: [E2E], exclude: [DEEP], globalSetup: BASE_IMAGE } },
      { extends: true, test: { name: "deep", include: [DEEP], globalSetup: BASE_IMAGE, testTimeout: 900_000 } },
    ],
  },
});
