// What docs/install.md says, and that all of the application is in this folder.
export default {
  output: 'standalone',
  serverExternalPackages: ['millrace'],
  outputFileTracingRoot: import.meta.dirname,
}
