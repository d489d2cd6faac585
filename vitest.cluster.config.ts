import { defineConfig } from "vitest/config"

/** The tier that needs a real etcd and kube-apiserver. Two files at a time: most of them wait for leases to run out. */
export default defineConfig({
  test: {
    include: ["{packages,examples,test}/*/test/**/*.cluster.test.ts"],
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 900_000
  }
})
