import { RelativeTimeElement } from '@github/relative-time-element/relative-time'

// Age keeps "3 minutes ago" current. Its settings stand here and not on each
// element, of which a page has many.
export class Age extends RelativeTimeElement {
  get prefix() { return '' }
  get threshold() { return 'P26D' }
}

// localTimes adds the reader's own time to the tooltips that say UTC.
export function localTimes() {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
  const add = root => {
    for (const element of root.querySelectorAll('relative-time, time[datetime*=T]')) {
      if (element.dataset.local === 'done') continue
      const moment = new Date(element.getAttribute('datetime'))
      if (Number.isNaN(moment.getTime())) continue
      element.dataset.local = 'done'
      element.title = `${format.format(moment)} your time\n${element.title || element.textContent}`
    }
  }
  add(document)
  document.addEventListener('htmx:after:swap', () => add(document))
}
