// localTimes adds the reader's own time to the tooltips that say UTC.
export function localTimes() {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
  const add = root => {
    for (const element of root.querySelectorAll('relative-time[title], time[data-local]')) {
      if (element.dataset.local === 'done') continue
      const moment = new Date(element.getAttribute('datetime'))
      if (Number.isNaN(moment.getTime())) continue
      element.dataset.local = 'done'
      element.title = `${format.format(moment)} your time\n${element.title}`
    }
  }
  add(document)
  document.addEventListener('htmx:after:swap', () => add(document))
}
