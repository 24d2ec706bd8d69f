// What the machine, or the container, allows. Linux says it in /proc and /dev/shm; other systems have neither.
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import type { DomainEntry } from '../../index.js'
import { bytes } from '../units.js'
import type { Finding } from './finding.js'

/** Where shared memory is. */
export const SHM = '/dev/shm'
/** What Docker gives a container. */
const DOCKER_SHM_BYTES = 64 * 2 ** 20
/** Of the memory there is, below which a domain that grows may soon find none. */
const LITTLE_FREE = 0.1
/**
 * A participant keeps the doorbell of each of up to 127 others, some files of its own, and Node.js about 20; a process may have many
 * sockets beside that.
 */
const FEW_DESCRIPTORS = 1024
/** Each participant has a thread, and Node.js about ten. */
const FEW_PROCESSES = 256

/** Size and use of the memory that domains share. */
export interface SharedMemory {
  readonly totalBytes: number
  readonly freeBytes: number
  /** What the domains take that were listed. */
  readonly domainBytes: number
}

/** The shared memory of this machine; null where the system has no such place. */
export function sharedMemory(domains: readonly DomainEntry[]): SharedMemory | null {
  if (!existsSync(SHM)) return null
  const { bsize, blocks, bavail } = statfsSync(SHM)
  const domainBytes = domains.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0)
  return { totalBytes: bsize * blocks, freeBytes: bsize * bavail, domainBytes }
}

/** Whether there is enough of it. */
export function checkMemory(memory: SharedMemory | null, contained: boolean): Finding[] {
  if (memory === null) return []
  const { totalBytes, freeBytes } = memory
  const larger = contained
    ? 'start the container with a larger one: `--shm-size`, or an emptyDir of medium Memory in Kubernetes'
    : `enlarge it: \`mount -o remount,size=… ${SHM}\``
  const has = `${SHM} has ${bytes(totalBytes)}, ${bytes(freeBytes)} of it free`
  if (freeBytes < totalBytes * LITTLE_FREE) {
    const advice = `\`millrace clean\` frees what the dead have left, \`millrace ls\` shows who has how much; or ${larger}`
    return [{ level: 'problem', about: SHM, message: has, advice }]
  }
  if (totalBytes > DOCKER_SHM_BYTES) return []
  return [{ level: 'problem', about: SHM, message: `${has}: less than most domains need`, advice: larger }]
}

/** Whether a process may have as many files and threads as it may need. */
export function checkLimits(): Finding[] {
  const limits = readIfAny('/proc/self/limits')
  // Of this process: Node.js has raised its own limit of files to the most that is allowed.
  const check = (name: string, few: number, flag: string): Finding[] => {
    const soft = Number(new RegExp(`^${name} +(\\d+)`, 'm').exec(limits ?? '')?.[1] ?? Infinity)
    if (soft >= few) return []
    const message = `a process may have ${soft} of "${name}", ${few} are a safe number`
    return [
      {
        level: 'problem',
        about: 'limits',
        message,
        advice: `raise it: \`ulimit ${flag} ${few}\`, or in the unit file`,
      },
    ]
  }
  return [...check('Max open files', FEW_DESCRIPTORS, '-n'), ...check('Max processes', FEW_PROCESSES, '-u')]
}

/** Whether this is a container, as far as can be seen. */
export function isContained(): boolean {
  return (
    existsSync('/.dockerenv') ||
    existsSync('/run/.containerenv') ||
    process.env['KUBERNETES_SERVICE_HOST'] !== undefined
  )
}

/** What to know in a container. */
export function checkContainer(contained: boolean): Finding[] {
  if (!contained) return []
  const message =
    'this is a container: it sees domains of others only if it has the same /dev/shm and the same directory of domains'
  const advice =
    'share both (`--ipc`, a volume for MILLRACE_DIR); to evict a process, be in its pid namespace (`--pid`)'
  return [{ level: 'note', about: 'container', message, advice }]
}

function readIfAny(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}
