import { defineConfig } from "vitest/config"

/** The tier that needs a real etcd and kube-apiserver: one file after another, since they share two cores. */
export default defineConfig({
  test: {
    include: ["{packages,examples,test}/*/test/**/*.cluster.test.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 900_000
  }
})
