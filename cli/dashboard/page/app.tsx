// The page from top to bottom.
import { useState } from 'preact/hooks'
import type { View } from '../../figures/view.js'
import type { Events } from '../protocol.js'
import { Hour } from './chart.js'
import { Drawing } from './graph.js'
import { Log } from './log.js'
import { Queues, Topics } from './queues.js'
import { idOf, Section } from './section.js'
import { type Known, useKnown } from './stream.js'
import { Domains, Participants, Pools } from './things.js'
import { Warnings } from './warnings.js'

/** The whole page. */
export function App() {
  const known = useKnown()
  const [frozen, setFrozen] = useState<Known | undefined>()
  const [filter, setFilter] = useState('')
  const [series, setSeries] = useState<string | undefined>()
  const { view, log, sparks } = frozen ?? known
  return (
    <>
      <header>
        <h1>Millrace</h1>
        <Status known={known} />
        <search>
          <label>
            Filter{' '}
            <input type="search" value={filter} onInput={({ currentTarget }) => setFilter(currentTarget.value)} />
          </label>
          <button
            type="button"
            aria-pressed={frozen !== undefined}
            onClick={() => setFrozen(frozen === undefined ? known : undefined)}
          >
            Pause
          </button>
        </search>
        <nav aria-label="Sections">
          {SECTIONS.map((title) => (
            <a key={title} href={`#${idOf(title)}`}>
              {title}
            </a>
          ))}
        </nav>
      </header>
      <main>
        {view !== undefined && <Sections {...filtered(view, filter)} sparks={sparks} log={log} show={setSeries} />}
      </main>
      {series !== undefined && <Hour key={series} series={series} sparks={sparks} close={() => setSeries(undefined)} />}
    </>
  )
}

const SECTIONS = [
  'warnings',
  'domains',
  'queues',
  'work queues',
  'topics',
  'services',
  'participants',
  'pools',
  'graph',
  'log',
]

type SectionsProps = View & Pick<Known, 'log' | 'sparks'> & { show: (series: string) => void }

function Sections({ domains, queues, participants, pools, warnings, log, sparks, show }: SectionsProps) {
  const of = (...kinds: string[]) => queues.filter(({ kind }) => kinds.includes(kind))
  const props = { sparks, show }
  return (
    <>
      <Section title="warnings" count={warnings.length}>
        <Warnings warnings={warnings} />
      </Section>
      <Section title="domains" count={domains.length}>
        <Domains rows={domains} {...props} />
      </Section>
      <Section title="queues" count={of('queue').length}>
        <Queues caption="queues" rows={of('queue')} {...props} />
      </Section>
      <Section title="work queues" count={of('work').length}>
        <Queues caption="work queues" rows={of('work')} {...props} />
      </Section>
      <Section title="topics" count={of('topic').length}>
        <Topics caption="topics and their subscriptions" rows={queues} {...props} />
      </Section>
      <Section title="services" count={of('requests').length}>
        <Queues caption="requests and mailboxes of services" rows={of('requests', 'mailbox')} {...props} />
      </Section>
      <Section title="participants" count={participants.length}>
        <Participants rows={participants} />
      </Section>
      <Section title="pools" count={pools.length}>
        <Pools rows={pools} participants={participants} />
      </Section>
      <Section title="graph" count={domains.length}>
        {domains.map(({ domain }) => (
          <Drawing key={domain} domain={domain} queues={queues} participants={participants} />
        ))}
      </Section>
      <Section title="log" count={log.length}>
        <Log entries={log} />
      </Section>
    </>
  )
}

/** Whether the page is up to date. */
function Status({ known: { view, silentSince } }: { known: Known }) {
  const text =
    silentSince !== null
      ? `no connection since ${new Date(silentSince).toLocaleTimeString()}: what is shown is old`
      : view === undefined
        ? 'connecting'
        : 'live'
  return (
    <p role="status" class={silentSince === null ? 'live' : 'trouble'}>
      <span aria-hidden="true">{silentSince === null ? '● ' : '✕ '}</span>
      {text}
    </p>
  )
}

/** Only what has the text in its name or its domain's. */
function filtered(view: Events['view'], filter: string): View {
  const text = filter.toLowerCase()
  const has = (...texts: readonly string[]): boolean => texts.some((each) => each.toLowerCase().includes(text))
  return {
    ...view,
    domains: view.domains.filter(({ domain }) => has(domain)),
    queues: view.queues.filter(({ place }) => has(place)),
    participants: view.participants.filter(({ domain, name, pid }) => has(domain, name, `${pid}`)),
    pools: view.pools.filter(({ domain }) => has(domain)),
    warnings: view.warnings.filter(({ place, message }) => has(place, message)),
  }
}
