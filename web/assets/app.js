import './htmx.js'
import 'htmx.org/dist/ext/hx-csp.js'
import 'htmx.org/dist/ext/hx-sse.js'
import { RelativeTimeElement } from '@github/relative-time-element/relative-time'
