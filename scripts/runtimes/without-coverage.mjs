// Loaded before AVA on runtimes that cannot tell which lines were run: AVA wants it written down at its end, whether anybody asked or not.
import v8 from 'node:v8'

v8.takeCoverage = () => {}
