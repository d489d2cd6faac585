/** What is logged, kept for a test to read instead of being shown. */
import * as Logger from "effect/Logger"

export const collecting = () => {
  const lines: Array<{ readonly level: string; readonly text: string }> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push({ level: logLevel, text: [message].flat().map(String).join(" ") })
  })
  return {
    layer: Logger.layer([logger]),
    at: (level: string) => lines.filter((line) => line.level === level).map(({ text }) => text)
  }
}
