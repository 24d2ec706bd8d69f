// Taking part in a domain that others have made, for as long as a command runs.
import { MillraceError, ShmManager, ShmObserver } from '../index.js'

/**
 * Joins the domain, which must be one that somebody alive is in, or that persists: any other would be made, made anew, or removed by
 * the end of the command.
 */
export function takePart(domain: string, where: { directory?: string }, command: string): ShmManager {
  // Its error says best why a domain cannot be opened.
  ShmObserver.open(domain, where).close()
  const entry = ShmObserver.list(where).find((each) => each.domain === domain)
  if (entry?.error !== null || (entry.alive === 0 && !entry.persist)) throw nobody(domain)
  const shm = ShmManager.open(domain, { ...where, name: `millrace ${command}` })
  // The last one has left since we looked.
  if (shm.opened === 'created' || shm.opened === 'recreated') {
    shm.close()
    throw nobody(domain)
  }
  return shm
}

function nobody(domain: string): MillraceError {
  const message = `nobody alive is in domain ${JSON.stringify(domain)}, and it does not persist: what is in it cannot be used any more`
  return new MillraceError('ERR_MILLRACE_NOT_FOUND', message)
}
