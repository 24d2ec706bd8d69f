/** Which of the blocks called `names` the port `block.port` belongs to: the one with the longest name that fits. Undefined: none. */
export function blockOfPort(reference: string, names: Iterable<string>): string | undefined {
  let found: string | undefined
  for (const name of names) {
    if (reference.startsWith(`${name}.`) && name.length > (found?.length ?? -1)) found = name
  }
  return found
}
