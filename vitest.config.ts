import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["{packages,examples,test}/*/test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.cluster.test.ts"],
    testTimeout: 30_000
  }
})
