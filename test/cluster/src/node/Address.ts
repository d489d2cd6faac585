/**
 * The address of a Pod. Its process listens on a loopback address of its own, 127.244.x.y. The API server refuses loopback
 * addresses in EndpointSlices, so the Pod's status says 10.244.x.y; who calls a Pod by what the cluster says of it
 * translates. Nothing of the machine is changed for it, and no rights are needed.
 */

/** Where the process of the Pod with this status listens: 10.244.x.y is 127.244.x.y; any other address is itself. */
export const local = (podIP: string): string => podIP.replace(/^10\.244\./, "127.244.")

/** For up to 254 Pods at a time. x is of this process, so that clusters of two test files do not meet. */
export const make = () => {
  const network = `10.244.${process.pid % 256}`
  const taken = new Set<string>()
  let last = 0
  return {
    /** One that no live Pod has, and as long as possible after the last one that had it. */
    take: (): string => {
      const next = () => `${network}.${(last = (last % 254) + 1)}`
      let address = next()
      while (taken.has(address)) address = next()
      taken.add(address)
      return address
    },
    release: (podIP: string): void => {
      taken.delete(podIP)
    }
  }
}
