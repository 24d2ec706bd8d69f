// The site: docs/ as it is, in the order of docs/index.md. Links to what is not in docs/ lead to the repository.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { defineConfig } from 'vitepress'

const root = join(import.meta.dirname, '..', '..', '..')
const docs = join(root, 'docs')
const { homepage } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const repository = homepage.replace(/#.*/, '')

/** The tables of docs/index.md: a group for each heading, with the pages in its first column. */
function groups() {
  const sections = readFileSync(join(docs, 'index.md'), 'utf8').split(/^## /m).slice(1)
  return sections.map((section) => ({
    text: section.split('\n', 1)[0],
    items: [...section.matchAll(/^\| \[([^\]]+)\]\(([^)]+)\)/gm)].map(([, text, link]) => ({
      text,
      link: linkOf(link),
    })),
  }))
}

/** From docs/index.md, as the site has it. */
function linkOf(path) {
  return outside('', path) ?? `/${path.replace(/\.md$/, '')}`
}

/** Where in the repository a link of a page leads to, if that is not a page of the site. */
function outside(page, link) {
  const [path, anchor] = link.split('#', 2)
  const file = join(dirname(page), path)
  if (/^\w+:/.test(link) || path === '' || !(file.startsWith('..') || !path.endsWith('.md'))) return undefined
  const target = join(docs, file)
  if (!existsSync(target)) throw new Error(`${page}: ${link} leads nowhere`)
  return `${repository}/blob/main/${relative(root, target)}${anchor ? `#${anchor}` : ''}`
}

/** Lets links lead out of docs/. */
function linksToRepository(md) {
  md.core.ruler.push('repository', ({ tokens, env }) => {
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        const there = token.type === 'link_open' ? outside(env.relativePath, token.attrGet('href')) : undefined
        if (there !== undefined) token.attrSet('href', there)
      }
    }
  })
}

/** The anchors that the documents are written for. */
function slugify(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-')
}

export default defineConfig({
  title: 'Millrace',
  description: 'Shared memory messaging for Node.js',
  srcDir: docs,
  srcExclude: ['api/**'],
  outDir: join(root, 'target', 'site'),
  cacheDir: join(root, 'target', 'site-cache'),
  cleanUrls: false,
  markdown: { languageAlias: { mjs: 'js' }, anchor: { slugify }, config: linksToRepository },
  themeConfig: {
    nav: [{ text: 'Repository', link: repository }],
    sidebar: groups(),
    outline: [2, 3],
    search: { provider: 'local' },
  },
})
