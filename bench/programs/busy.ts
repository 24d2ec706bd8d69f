// Keeps a core busy until it is stopped.
import { serve } from '../lib/control.js'

serve({})
spin()

function spin(): void {
  const until = performance.now() + 5
  while (performance.now() < until);
  setImmediate(spin)
}
