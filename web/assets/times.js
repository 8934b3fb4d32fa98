const dateAfter = 26 * 24 * 3600 // as FormatAge has it

// ages keeps "3 minutes ago" current, in the words and with the rounding of
// FormatAge in web/templates/format.go, so that nothing moves when it begins.
// A new page is right as it came; so is what is swapped in.
export function ages() {
  const show = () => {
    if (document.hidden) return
    const now = Date.now()
    for (const element of document.querySelectorAll('relative-time')) {
      const moment = momentOf(element)
      const text = moment ? age(moment, now) : ''
      if (text && element.textContent !== text) element.textContent = text
    }
  }
  setInterval(show, 10_000)
  document.addEventListener('visibilitychange', show)
}

// The browser's formats of times take it milliseconds to make each: they are
// made when first needed.
const once = make => {
  let made
  return () => (made ??= make())
}
const words = once(() => new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' }))

// utc is a moment in the words of FormatTime: the day, the month, the year and
// the time of day.
function utc(moment) {
  const [, day, month, year, time] = moment.toUTCString().split(' ')
  return [+day, month, year, time]
}

function age(moment, now) {
  const ago = now - moment
  const length = Math.abs(ago)
  if (length >= dateAfter * 1000) {
    const [day, month, year] = utc(moment)
    return +year === new Date(now).getUTCFullYear() ? `${day} ${month}` : `${day} ${month} ${year}`
  }
  const [n, unit] = rounded(length)
  return unit === 'second' && n < 10 ? 'now' : words().format(ago < 0 ? n : -n, unit)
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

const form = second => new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second, timeZoneName: 'short' })
const texts = { '': once(() => form('2-digit')), minute: once(() => form()) }
const own = timeStyle => once(() => new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle }))
const ownSecond = own('medium')
const ownMinute = own('short')

// localTimes makes the text of times with data-local the reader's own time. The
// tooltip of every time says both, and is written when the pointer comes.
export function localTimes() {
  const show = () => {
    for (const element of document.querySelectorAll('time[data-local]:not([data-local=done])')) {
      const moment = momentOf(element)
      if (moment) element.textContent = texts[element.dataset.local]().format(moment)
      element.dataset.local = 'done'
    }
  }
  show()
  document.addEventListener('htmx:after:swap', show)
  let entry
  document.addEventListener('pointerover', event => {
    entry?.removeAttribute('title') // it would show over all that the entry holds
    entry = null
    const minute = event.target.matches?.('.tl li, .sessions td:first-child > a')
    const element = minute ? event.target : event.target.closest?.('relative-time, time[datetime*=T]')
    const moment = element && momentOf(element)
    if (!moment) return
    if (minute) entry = element
    const [day, month, year, time] = utc(moment)
    element.title = `${(minute ? ownMinute : ownSecond)().format(moment)} your time\n${day} ${month} ${year}, ${minute ? time.slice(0, 5) : time} UTC`
  })
}

// momentOf is the moment that an element names, or null. An entry of a timeline
// names only the time of its day, which stands above it.
function momentOf(element) {
  const moment = new Date(element.getAttribute('datetime') ?? underDay(element))
  return Number.isNaN(moment.getTime()) ? null : moment
}

function underDay(element) {
  if (element.matches('a')) { // in a list of sessions: "31 Oct, 22:29", with the year if it is not the present one
    const [day, clock] = element.textContent.split(', ')
    return `${day}${/\d{4}$/.test(day) ? '' : ` ${new Date().getUTCFullYear()}`} ${clock} UTC`
  }
  const clock = element.firstChild.textContent
  const { firstChild: day } = element.parentElement.previousElementSibling
  return day.dateTime ? `${day.dateTime}T${clock}Z` : `${day.textContent} ${clock} UTC`
}
