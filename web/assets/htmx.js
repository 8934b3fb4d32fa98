import './htmx-config.js'

// The extensions expect a global htmx; esbuild puts this module in its place.
export { default as htmx } from 'htmx.org/dist/htmx.esm.js'
