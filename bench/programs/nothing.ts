// Waits for requests, and nothing else.
import { serve } from '../lib/control.js'

serve({})
