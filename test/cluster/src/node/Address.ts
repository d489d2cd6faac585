/**
 * The address of a Pod. Its process listens on a loopback address of its own, 127.244.x.y. The API server refuses loopback
 * addresses in EndpointSlices, so the Pod's status says 10.244.x.y; who calls a Pod by what the cluster says of it
 * translates. Nothing of the machine is changed for it, and no rights are needed.
 */

/** Where the process of the Pod with this status listens: 10.244.x.y is 127.244.x.y; any other address is itself. */
export const local = (podIP: string): string => podIP.replace(/^10\.244\./, "127.244.")

export const make = () => {
  const taken = new Set<number>()
  let last = 0
  return {
    /** One that no live Pod has, and as long as possible after the last one that had it. */
    take: (): string => {
      do last = (last % 65_000) + 1
      while (taken.has(last))
      taken.add(last)
      return `10.244.${last >> 8}.${last & 255}`
    },
    release: (podIP: string): void => {
      const [, , high, low] = podIP.split(".").map(Number)
      taken.delete(((high ?? 0) << 8) + (low ?? 0))
    }
  }
}
