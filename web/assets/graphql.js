// The editor of the GraphQL pages. Without it the text boxes do the same, but
// offer nothing while typing.
import { forceLinting } from '@codemirror/lint'
import { buildClientSchema } from 'graphql'
import { editor, write } from './editor.js'
import { operationsOf, queryLanguage, setSchema } from './graphql-query.js'
import { variablesLanguage } from './graphql-variables.js'

const nonce = document.currentScript?.nonce ?? ''
const form = document.querySelector('[data-graphql]')
if (form) workbench(form)

function workbench(form) {
  const chooser = form.elements.namedItem('operation')
  let schema = null
  let operations = []
  const chosen = () => operations.length === 1 ? operations[0] : operations.find(o => o.name?.value === chooser?.value)

  const query = editor(form.elements.namedItem('query'), nonce, () => run(), queryLanguage())
  const variables = editor(form.elements.namedItem('variables'), nonce, () => run(), variablesLanguage(() => ({ schema, operation: chosen(), operations })))

  // run presses the button. If no operation of several is chosen yet, it is the
  // one at the cursor.
  function run() {
    follow()
    const here = query.state.selection.main.head
    const at = operations.find(o => o.loc.start <= here && here <= o.loc.end)
    if (chooser && operations.length > 1 && !chosen() && at?.name) chooser.value = at.name.value
    const button = form.querySelector('button[name="do"][value="run"]:not(:disabled)')
    if (button) form.requestSubmit(button)
  }

  // follow makes the list of operations that of the text. While the text cannot
  // be read it stays as it was.
  function follow() {
    const now = operationsOf(query.state.doc.toString())
    if (!now) return
    operations = now
    if (!chooser) return
    const was = chooser.value
    const names = now.map(o => o.name?.value).filter(Boolean)
    if (JSON.stringify(names) !== JSON.stringify([...chooser.options].slice(1).map(o => o.value))) {
      chooser.replaceChildren(chooser.options[0], ...now.filter(o => o.name).map(o => new Option(`${o.name.value} (${o.operation})`, o.name.value)))
    }
    chooser.value = names.includes(was) ? was : ''
    chooser.closest('[data-operation]').hidden = now.length < 2
  }

  let later
  form.addEventListener('input', event => {
    if (event.target.name !== 'query') return
    clearTimeout(later)
    later = setTimeout(() => { follow(); forceLinting(variables) }, 300)
  })
  chooser?.addEventListener('change', () => forceLinting(variables))
  follow()

  // What changes the text is asked of the server, which reads it as it will be
  // read when it is sent, and is put in as one step that can be undone.
  form.addEventListener('click', async event => {
    const button = event.target.closest('[data-edit], [data-insert]')
    if (!button || button.disabled) return
    event.preventDefault()
    try {
      const body = new URLSearchParams(new FormData(form))
      body.set('do', button.value)
      const answer = await fetch(form.action, { method: 'POST', body, headers: { Accept: 'application/json' } })
      if (!answer.ok || !/json/.test(answer.headers.get('Content-Type'))) throw new Error(String(answer.status))
      const edited = await answer.json()
      tell(edited.problem)
      if (edited.problem) return
      write(query, edited.query, edited.at < 0 ? undefined : edited.at)
      write(variables, edited.variables)
      if (edited.at >= 0) query.focus()
    } catch {
      tell('Sightline did not answer. Nothing was changed; please try again.')
    }
  })
  const note = form.querySelector('[data-edit-note]')
  const tell = text => { note.textContent = text; note.hidden = !text }

  const connection = form.elements.namedItem('connection')
  const load = async () => {
    schema = await fetchSchema(form.dataset.graphql, connection?.value)
    query.dispatch({ effects: setSchema.of(schema) })
  }
  connection?.addEventListener?.('change', load)
  load()
}

// fetchSchema is what the connection's server can be asked; null if that is not
// known here, in which case the editor goes on without it.
async function fetchSchema(address, connection) {
  try {
    const answer = await fetch(`${address}?connection=${encodeURIComponent(connection ?? '')}`, { headers: { Accept: 'application/json' } })
    if (answer.status !== 200) return null
    return buildClientSchema(await answer.json(), { assumeValid: true })
  } catch {
    return null
  }
}
