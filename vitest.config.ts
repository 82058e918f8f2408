import { defineConfig } from "vitest/config";

const E2E = "test/e2e/**/*.test.ts";
/** Tests that take minutes: `npm run test:deep`. */
const DEEP = "test/**/*.deep.test.ts";

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    globalSetup: ["test/global-setup.ts"],
    projects: [
      { extends: true, test: { name: "unit", include: ["test/**/*.test.ts"], exclude: [E2E, DEEP] } },
      { extends: true, test: { name: "e2e", include: [E2E], exclude: [DEEP] } },
      { extends: true, test: { name: "deep", include: [DEEP], testTimeout: 900_000 } },
    ],
  },
});
