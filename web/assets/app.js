// Everything here makes nicer what already works without it.
import './htmx.js'
import 'htmx.org/dist/ext/hx-csp.js'
import 'htmx.org/dist/ext/hx-sse.js'
import { charts } from './charts.js'
import { copying } from './copy.js'
import { keys } from './keys.js'
import { later } from './later.js'
import { limits } from './limits.js'
import { menus } from './menus.js'
import { parts } from './parts.js'
import { swaps } from './swaps.js'
import { themeSwitch } from './theme-switch.js'
import { timeline } from './timeline.js'
import { ages, localTimes } from './times.js'
import { tips } from './tips.js'
import { toasts } from './toasts.js'

const notify = toasts()
ages()
localTimes()
tips()
charts()
themeSwitch()
menus()
limits()
later()
keys()
copying(notify)
swaps(notify)
timeline()
parts()
