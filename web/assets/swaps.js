const byHand = new Set(['click', 'submit', 'change', 'keydown'])

// swaps tells what htmx is doing to those who cannot see it: busy marks, the
// focus after a swap, a message when the server cannot be reached.
export function swaps(notify) {
  const on = (type, act) => document.addEventListener(type, event => act(event.detail?.ctx, event))

  on('htmx:before:request', (ctx, event) => {
    if (document.hidden && ctx.sourceEvent?.type === 'every') {
      event.preventDefault() // nobody is looking; the next round asks again
      return
    }
    if (byHand.has(ctx.sourceEvent?.type)) ctx.target?.setAttribute?.('aria-busy', 'true')
  })
  // An empty filter says nothing; without it the address stays short.
  on('htmx:config:request', ctx => {
    const { method, body } = ctx.request
    if (method !== 'GET' || !(body instanceof FormData)) return
    for (const [name, value] of [...body]) if (value === '') body.delete(name)
  })
  on('htmx:after:request', (ctx, event) => {
    if (!wholePage(ctx)) return
    event.preventDefault()
    if (ctx.sourceEvent?.type === 'every') return // the next round asks again
    if (ctx.response.status < 400) location.assign(ctx.response.raw.url)
    else notify('error', 'That did not work. What you typed is still here; please try again.')
  })
  on('htmx:finally:request', ctx => ctx?.target?.removeAttribute?.('aria-busy'))
  const focused = new WeakSet() // swaps of what has the focus
  on('htmx:before:swap', ctx => {
    if (ctx?.target?.contains?.(document.activeElement)) focused.add(ctx)
  })
  on('htmx:after:swap', ctx => {
    if (!ctx) return
    if (byHand.has(ctx.sourceEvent?.type)) focusNew(ctx)
    else if (focused.has(ctx)) focusPlace(placeOf(ctx))
  })
  on('htmx:error', (ctx, event) => {
    if (!ctx || ctx.sourceEvent?.type === 'every' || event.detail.error?.name === 'AbortError') return
    notify('error', 'Sightline did not answer. What you typed is still here; please try again.')
  })
}

// wholePage says whether a page came where a part of one was asked for: after a
// redirect, to the sign-in for instance, or as the answer to a failure outside
// of the application. It must not be put into the middle of this one.
function wholePage(ctx) {
  return ctx?.request.headers['HX-Request-Type'] === 'partial' && /^\s*<!doctype/i.test(ctx.text)
}

// focusNew moves the focus to the first wrong field or the new heading. If
// there is neither it stays, unless what had it is gone: then it goes to what
// came in its place.
function focusNew(ctx) {
  const place = placeOf(ctx)
  const wanted = place?.querySelector('[aria-invalid="true"]') ?? place?.querySelector('[data-focus]')
  if (wanted) wanted.focus()
  else focusPlace(place)
}

// placeOf is what stands where something was swapped.
function placeOf({ target }) {
  if (!(target instanceof Element)) return null
  return target.isConnected ? target : document.getElementById(target.id)
}

function focusPlace(place) {
  if (!place || (document.activeElement && document.activeElement !== document.body)) return
  place.tabIndex = -1
  place.focus({ preventScroll: true })
}
