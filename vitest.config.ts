import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["{packages,examples,test}/*/test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.cluster.test.ts"],
    // More than cores: the tests of real processes mostly wait.
    maxWorkers: 3,
    testTimeout: 30_000
  }
})
