import { execFileSync, spawnSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { versionOfPeer } from './packages.js'
import { root } from './paths.js'
import type { Machine, Report } from './result.js'

/** This machine and what is installed on it. */
export function describeMachine(): Machine {
  const [cpu] = cpus()
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release().split('-')[0]!,
    node: process.version,
    rust: versionOf('rustc'),
    peers: {
      ...named('zeromq', versionOfPeer('zeromq')),
      ...named('@redis/client', versionOfPeer('@redis/client')),
      ...named('redis-server', versionOf('redis-server')?.replace(/^.*v=(\S+).*$/, '$1')),
    },
    load: Math.round(loadavg()[0]! * 100) / 100,
  }
}

/** The commit that is checked out, and whether the tree differs from it. */
export function describeCommit(): Pick<Report, 'commit' | 'modified'> {
  try {
    const others = git('status', '--porcelain')
    return { commit: git('rev-parse', '--short', 'HEAD'), modified: others !== '' }
  } catch {
    return { commit: 'unknown', modified: true }
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
}

function versionOf(program: string): string | null {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : null
}

function named(name: string, version: string | undefined): Record<string, string> {
  return version === undefined ? {} : { [name]: version }
}
