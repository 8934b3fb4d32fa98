const dateAfter = 26 * 24 * 3600 // as FormatAge has it

// ages keeps "3 minutes ago" current, in the words and with the rounding of
// FormatAge in web/templates/format.go, so that nothing moves when it begins.
export function ages() {
  const show = () => {
    if (document.hidden) return
    const now = Date.now()
    for (const element of document.querySelectorAll('relative-time')) {
      const moment = new Date(element.getAttribute('datetime'))
      const text = Number.isNaN(moment.getTime()) ? '' : age(moment, now)
      if (text && element.textContent !== text) element.textContent = text
    }
  }
  show()
  setInterval(show, 10_000)
  document.addEventListener('visibilitychange', show)
}

const words = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' })

// utc is a moment in the words of FormatTime: the day, the month, the year and
// the time of day.
function utc(moment) {
  const [, day, month, year, time] = moment.toUTCString().split(' ')
  return [+day, month, year, time]
}

export function age(moment, now) {
  const ago = now - moment
  const length = Math.abs(ago)
  if (length >= dateAfter * 1000) {
    const [day, month, year] = utc(moment)
    return +year === new Date(now).getUTCFullYear() ? `${day} ${month}` : `${day} ${month} ${year}`
  }
  const [n, unit] = rounded(length)
  return unit === 'second' && n < 10 ? 'now' : words.format(ago < 0 ? n : -n, unit)
}

// rounded goes on to the next larger unit from 55 seconds, 55 minutes, 21 hours
// and 6 days on.
function rounded(ms) {
  const s = Math.floor(ms / 1000) + (ms % 1000 >= 900 ? 1 : 0)
  const m = (Math.floor(s / 60) % 60) + (s % 60 >= 55 ? 1 : 0)
  const h = (Math.floor(s / 3600) % 24) + (m >= 55 ? 1 : 0)
  let days = Math.floor(s / 86400)
  if (days > 0 ? h >= 12 : h >= 21) days++
  if (days >= 6) return [Math.floor((days * 2 + 7) / 14), 'week']
  if (days > 0) return [days, 'day']
  if (h > 0) return [h, 'hour']
  return m > 0 ? [m, 'minute'] : [s, 'second']
}

// localTimes adds the reader's own time to the tooltips, beside UTC to the
// second. Where data-local says so, the text itself becomes the reader's time.
export function localTimes() {
  const form = second => new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second, timeZoneName: 'short' })
  const texts = { '': form('2-digit'), minute: form() }
  const own = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
  const add = root => {
    for (const element of root.querySelectorAll('relative-time, time[datetime*=T]')) {
      if (element.dataset.local === 'done') continue
      const moment = new Date(element.getAttribute('datetime'))
      if (Number.isNaN(moment.getTime())) continue
      const text = texts[element.dataset.local]?.format(moment)
      if (text) element.textContent = text
      element.dataset.local = 'done'
      const [day, month, year, time] = utc(moment)
      element.title = `${own.format(moment)} your time\n${day} ${month} ${year}, ${time} UTC`
    }
  }
  add(document)
  document.addEventListener('htmx:after:swap', () => add(document))
}
