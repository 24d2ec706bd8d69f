import { ShmObserver } from '../../index.js'
import type { Command } from '../command.js'
import { checkDomains, checkVersions } from '../doctor/domains.js'
import type { Finding } from '../doctor/finding.js'
import { checkObjects } from '../doctor/objects.js'
import {
  checkContainer,
  checkLimits,
  checkMemory,
  isContained,
  sharedMemory,
  type SharedMemory,
} from '../doctor/machine.js'
import { bytes, plural } from '../units.js'

/** Says what is wrong with this machine and its domains. */
export const doctor: Command = {
  name: 'doctor',
  parameters: [],
  options: {},
  summary: 'say what is wrong with this machine and its domains, and what to do (then the exit code is 1)',
  run({ where, json }) {
    const domains = ShmObserver.list(where)
    const memory = sharedMemory(domains)
    const contained = isContained()
    const findings = [
      ...checkMemory(memory, contained),
      ...checkLimits(),
      ...checkDomains(domains, where),
      ...checkVersions(domains),
      ...checkObjects(domains),
      ...checkContainer(contained),
    ]
    console.log(json ? JSON.stringify({ memory, findings }, undefined, 2) : told(findings, domains.length, memory))
    return findings.some(({ level }) => level === 'problem') ? 1 : 0
  },
}

function told(findings: readonly Finding[], domains: number, memory: SharedMemory | null): string {
  const lines = findings.flatMap(({ level, about, message, advice }) => [
    `${level}: ${about}: ${message}`,
    `  ${advice}`,
  ])
  const problems = findings.filter(({ level }) => level === 'problem').length
  const shared =
    memory === null
      ? ''
      : `; shared memory: ${bytes(memory.totalBytes)}, ${bytes(memory.freeBytes)} free, domains take ${bytes(memory.domainBytes)}`
  return [
    ...lines,
    `${plural(domains, 'domain')}, ${problems === 0 ? 'no problem' : plural(problems, 'problem')}${shared}`,
  ].join('\n')
}
