// Package templates holds Sightline's HTML: the layout, the components every
// screen is made of, and one file per screen with its page, its fragments and
// the view structs they show. It shows views and decides nothing: it imports
// nothing else of Sightline, and whatever needs a decision is decided before.
//
// # Rules for whoever writes a screen
//
// Every response, page or fragment, carries the strict content security policy
// with a nonce of its own, and the context handed to Render went through
// templ.WithNonce with the same nonce. The policy forbids inline scripts and
// styles. So there is no style attribute, no on… attribute, no hx-on, no js:
// value and no trigger filter such as click[ctrlKey]. Shares and lengths are
// drawn with Progress, Meter or Waterfall.
//
// A component in components_*.templ carries //go:noinline: without it the
// compiler copies the component's whole body, 7 KB for a Button, to wherever it
// is used, more than a megabyte in all.
//
// Link: a plain <a href={ templ.URL(u) }>. Navigation is never boosted.
//
// Form: a real <form method="post" action={ templ.URL(u) }> of Field, TextArea,
// Select and so on with a Button or SpendButton; filters are a FilterBar (GET).
// The handler answers 303, or 422 with the same form, its Field.Error set and
// an ErrorSummary above it.
//
// Enhanced link or form: keep href or action and add the htmx attributes and,
// always, { HX(ctx)... }. An element with an hx- attribute but without the
// nonce loses all its hx- attributes in the browser:
//
//	<form method="post" action={ templ.URL(v.URL) } hx-post={ Path(v.URL) }
//		hx-target="#notes" hx-swap="outerHTML" { HX(ctx)... }>
//
// URLs made from data go through templ.URL in href and action (templ does it
// by itself for string expressions there) and through Path in hx-get, hx-post
// and hx-sse:connect, because templ knows nothing about hx- attributes. Path
// lets through nothing but paths on this site.
//
// Attributes are not inherited in htmx 4: write hx-target on each element or
// hx-target:inherited on the parent. GET does not send the enclosing form (a
// form's own hx-get does send its fields). Answers with 4xx and 5xx are swapped
// in like any other: answer a fragment request with a fragment, an Alert for
// instance.
//
// Fragment: the handler answers with a part only if htmx asked for one, which
// is HX-Request: true, HX-Request-Type: partial, no HX-Boosted and no
// HX-History-Restore-Request. It sends its own policy header with its own
// nonce; the browser side rewrites that nonce to the page's. It may add
// @ToastFragment(…) to report something in the live region.
//
// After a swap, focus goes to the first wrong field, else to an element with
// data-focus in what came (put it on the new heading with tabindex="-1"); else
// it stays where it is.
//
// Poller: wrap what changes in @Poller(id, url, seconds). The answer replaces
// the element, so send it again inside another Poller while the work goes
// on, and without one (same id) when it is over; polling then stops by
// itself. Nothing in a poller may hold what the reader is typing.
//
// Server-sent events: @Stream(id, url) shows the data of each unnamed message.
// Messages must be plain HTML without hx- attributes, for the browser cannot
// match their nonce to the page's. To finish, send "event: done"; an element
// with hx-get and hx-trigger="done from:#id" then fetches the final state.
//
// A redirect that htmx follows to a whole page is loaded as that page, and a
// failure that answers with a whole page becomes a message; neither is put into
// the middle of the present one.
//
// Classes there are for arranging things: stack-sm, stack and stack-lg (one
// under the other), cluster (side by side, wrapping), split (to both ends),
// form, form-grid and form-actions, section-title, muted, hint, num, link,
// sr-only, truncate, font-mono, js-only. Beyond these use Tailwind's utilities
// sparingly; after new ones, make generate rebuilds the style sheet. A Layout's
// children stand one under the other with room between them by themselves.
//
// Lists: put data-item on the main link of each row; j and k move through
// them. A table row or card whose main link has the class stretched can be
// clicked anywhere.
//
// What only works with JavaScript gets the class js-only; what is only for its
// absence goes into <noscript>.
//
// templ drops the line break between a text and a component, so a space that
// must be there is written as one: { "Asked " } before @Age(…).
//
// Times, counts and durations are shown by Age, Time, Day, Duration, Count and
// Bytes, never by hand. Ratings, states, vendors and roles each have one badge.
package templates
