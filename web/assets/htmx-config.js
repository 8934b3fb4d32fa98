// htmx reads what it is told from the page when it is loaded; here it is told once
// for all pages.
const config = document.createElement('meta')
config.name = 'htmx-config'
config.content = '{"extensions":"hx-csp, sse","includeIndicatorCSS":false,"history":"reload"}'
document.head.append(config)
