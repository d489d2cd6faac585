import { defineConfig } from "vitest/config"
import { BaseSequencer } from "vitest/node"

/** First, since everybody would wait for one of these that began last. */
const longest = ["seeds-first", "seeds-second", "exploration", "end-to-end/test/embedded", "VirtualDays"]

class LongestFirst extends BaseSequencer {
  override async sort(...[files]: Parameters<BaseSequencer["sort"]>) {
    const isLong = (file: string) => longest.some((name) => file.endsWith(`${name}.test.ts`))
    // eslint-disable-next-line unicorn/no-array-sort -- not an array's
    const sorted = await super.sort(files)
    return [...sorted.filter((file) => isLong(file.moduleId)), ...sorted.filter((file) => !isLong(file.moduleId))]
  }
}

export default defineConfig({
  test: {
    include: ["{packages,examples,test}/*/test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.cluster.test.ts"],
    sequence: { sequencer: LongestFirst },
    // To load the modules anew for each of a hundred files takes longer than most of the files.
    isolate: false,
    // More than cores: the tests of real processes mostly wait.
    maxWorkers: 3,
    testTimeout: 30_000
  }
})
