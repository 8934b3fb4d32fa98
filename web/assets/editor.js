import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { lintKeymap } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import { EditorView, highlightSpecialChars, keymap, lineNumbers, tooltips } from '@codemirror/view'
import { tags } from '@lezer/highlight'

// The colours are those of the style sheet, so that both themes fit.
const look = EditorView.theme({
  '&.cm-editor': { border: '1px solid var(--line-field)', borderRadius: 'var(--radius-field)', backgroundColor: 'var(--surface)', color: 'var(--text)', fontSize: 'var(--text-sm)', maxHeight: '70vh', overflow: 'hidden' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-1px' },
  '&.cm-wrong': { borderColor: 'var(--bad)' },
  '.cm-scroller': { fontFamily: 'var(--font-mono)', lineHeight: '1.375rem', overflow: 'auto' },
  '.cm-content': { padding: '0.375rem 0', caretColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--muted)', border: '0' },
  '.cm-foldPlaceholder': { backgroundColor: 'var(--sunken)', border: '0', color: 'var(--muted)' },
  '.cm-tooltip': { border: '1px solid var(--line-strong)', borderRadius: 'var(--radius-field)', backgroundColor: 'var(--raised)', color: 'var(--text)', boxShadow: 'var(--shadow-lg)', maxWidth: 'min(32rem, calc(100vw - 2rem))' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--font-mono)', fontSize: 'var(--text-sm)', maxHeight: '16rem' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '0.125rem 0.5rem', color: 'var(--text)' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-completionDetail': { color: 'var(--muted)', fontStyle: 'normal' },
  'li[aria-selected] .cm-completionDetail': { color: 'inherit' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
  '.cm-completionInfo': { padding: '0.375rem 0.5rem', fontSize: 'var(--text-sm)', whiteSpace: 'pre-line' },
  '.cm-gone .cm-completionLabel': { textDecoration: 'line-through' },
  '.cm-diagnostic': { fontFamily: 'var(--font-sans)', fontSize: 'var(--text-sm)', whiteSpace: 'pre-line' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--bad)' },
  '.cm-diagnostic-warning': { borderLeftColor: 'var(--warn)' },
  '.cm-panels': { backgroundColor: 'var(--sunken)', color: 'var(--text)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--info-bg)', outline: '1px solid var(--line-field)' },
  '&.cm-focused .cm-nonmatchingBracket': { backgroundColor: 'var(--bad-bg)' },
})

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.definitionKeyword, tags.modifier], color: 'var(--logrocket)' },
  { tag: [tags.propertyName, tags.attributeName], color: 'var(--info)' },
  { tag: [tags.variableName, tags.special(tags.name)], color: 'var(--warn)' },
  { tag: [tags.string], color: 'var(--good)' },
  { tag: [tags.number, tags.integer, tags.float, tags.bool, tags.null], color: 'var(--okay)' },
  { tag: tags.atom, color: 'var(--text)', fontWeight: '600' },
  { tag: [tags.comment, tags.lineComment, tags.punctuation, tags.separator, tags.paren, tags.brace], color: 'var(--muted)' },
])

// typeOver puts what is typed in the place of a selection. Left to itself, a
// browser keeps the look of what was selected in a style attribute, which the
// page's policy forbids.
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to, empty } = view.state.selection.main
    if (event.inputType !== 'insertText' || !event.data || empty || view.composing) return false
    const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: 'input.type', scrollIntoView: true })
    if (!view.state.facet(EditorView.inputHandler).some(handle => handle(view, from, to, event.data, insert))) view.dispatch(insert())
    event.preventDefault()
    return true
  },
})

// editor puts an editor in the place of a text box, which goes on being what
// the form sends. run is called for Ctrl or ⌘ with Enter. Tab leaves the editor,
// unless a completion is offered.
export function editor(box, nonce, run, extensions) {
  const label = document.querySelector(`label[for="${CSS.escape(box.id)}"]`)
  const attributes = { 'aria-label': label?.firstChild.textContent.trim() ?? box.name, autocapitalize: 'off', spellcheck: 'false' }
  for (const name of ['aria-describedby', 'aria-invalid', 'aria-required']) {
    if (box.hasAttribute(name)) attributes[name] = box.getAttribute(name)
  }
  if (box.required) attributes['aria-required'] = 'true'
  const height = box.offsetHeight
  const layer = document.createElement('div') // what is offered stands outside of the editor, which is cut off
  layer.style.position = 'absolute'
  box.closest('main')?.append(layer)
  const view = new EditorView({
    doc: box.value,
    extensions: [
      EditorView.cspNonce.of(nonce),
      keymap.of([
        { key: 'Mod-Enter', run: () => (run(), true), preventDefault: true },
        { key: 'Tab', run: acceptCompletion },
        ...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, ...defaultKeymap,
      ]),
      lineNumbers(), foldGutter(), highlightSpecialChars(), history(), indentOnInput(), bracketMatching(), closeBrackets(),
      indentUnit.of('  '), EditorState.tabSize.of(2), EditorView.lineWrapping,
      autocompletion({ icons: false, interactionDelay: 0, optionClass: o => o.gone ? 'cm-gone' : '' }),
      tooltips({ position: 'fixed', parent: layer }),
      syntaxHighlighting(colours), look, typeOver,
      EditorView.contentAttributes.of(attributes),
      EditorView.updateListener.of(update => {
        if (!update.docChanged) return
        box.value = update.state.doc.toString()
        box.dispatchEvent(new Event('input', { bubbles: true }))
      }),
      extensions,
    ],
  })
  if (box.getAttribute('aria-invalid') === 'true') view.dom.classList.add('cm-wrong')
  view.dom.style.minHeight = `${height}px` // nothing moves when it comes
  box.hidden = true
  box.before(view.dom)
  label?.addEventListener('click', () => view.focus())
  // A browser that is stepped back to fills the box in after the scripts ran.
  window.addEventListener('pageshow', () => write(view, box.value))
  return view
}

// write makes text the whole text, as one step that can be undone.
export function write(view, text, cursor) {
  const old = view.state.doc.toString()
  if (old === text && cursor === undefined) return
  let from = 0
  while (from < old.length && from < text.length && old[from] === text[from]) from++
  let end = 0
  while (end < old.length - from && end < text.length - from && old[old.length - 1 - end] === text[text.length - 1 - end]) end++
  view.dispatch({
    changes: { from, to: old.length - end, insert: text.slice(from, text.length - end) },
    selection: cursor === undefined ? undefined : { anchor: cursor },
    scrollIntoView: cursor !== undefined,
  })
}
