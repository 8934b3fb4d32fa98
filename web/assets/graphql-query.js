import { snippetCompletion } from '@codemirror/autocomplete'
import { linter } from '@codemirror/lint'
import { StateEffect, StateField } from '@codemirror/state'
import { graphqlLanguage, graphqlLanguageSupport, offsetToPos } from 'cm6-graphql'
import { NoDeprecatedCustomRule, getNamedType, isCompositeType, parse, specifiedRules, validate } from 'graphql'
import { getAutocompleteSuggestions } from 'graphql-language-service'

// unknown stands for a type that the server names and does not describe.
const unknown = '"_Unknown'

export const setSchema = StateEffect.define()
const schemaField = StateField.define({
  create: () => null,
  update: (schema, tr) => tr.effects.reduce((now, e) => e.is(setSchema) ? e.value : now, schema),
})

// queryLanguage highlights and folds, offers what the schema has, and marks
// what is wrong: without a schema only what is no GraphQL.
export function queryLanguage() {
  return [
    graphqlLanguageSupport(), schemaField,
    graphqlLanguage.data.of({ autocomplete: complete }),
    linter(view => problems(view.state), {
      delay: 400,
      needsRefresh: update => update.startState.field(schemaField) !== update.state.field(schemaField),
    }),
  ]
}

function complete(context) {
  const schema = context.state.field(schemaField)
  const word = context.matchBefore(/[\w@$]*/)
  if (!schema || (word.from === word.to && !context.explicit)) return null
  const text = context.state.doc.toString()
  const found = getAutocompleteSuggestions(schema, text, offsetToPos(context.state.doc, context.pos))
  if (!found.length) return null
  const sigil = /^[@$]/.test(word.text) ? 1 : 0
  const opened = /^\s*[({]/.test(text.slice(context.pos))
  return { from: word.from + (found[0].label.startsWith(word.text[0]) ? 0 : sigil), validFor: /^[\w@$]*$/, options: found.map(s => option(s, opened)) }
}

function option(s, opened) {
  const about = [s.documentation, s.isDeprecated && `Deprecated: ${s.deprecationReason || 'no reason is given'}`].filter(Boolean).join('\n\n')
  const out = { label: s.label, detail: s.detail ? String(s.detail) : undefined, info: about || undefined, gone: s.isDeprecated, boost: s.isDeprecated ? -50 : s.label.startsWith('__') ? -90 : 0 }
  const fields = s.type && isCompositeType(getNamedType(s.type)) && !opened && /^\w+$/.test(s.label)
  return fields ? snippetCompletion(`${s.label} {\n\t\${}\n}`, out) : out
}

function problems(state) {
  const text = state.doc.toString()
  if (!text.trim()) return []
  let tree
  try {
    tree = parse(text, { maxTokens: 8000 })
  } catch (error) {
    return [marked(state, error, 'error')]
  }
  const schema = state.field(schemaField)
  if (!schema) return []
  const known = e => !e.message.includes(unknown)
  return [
    ...validate(schema, tree, specifiedRules, { maxErrors: 50 }).filter(known).map(e => marked(state, e, 'error')),
    ...validate(schema, tree, [NoDeprecatedCustomRule], { maxErrors: 50 }).map(e => marked(state, e, 'warning')),
  ]
}

// marked is an error with the word that it is about.
function marked(state, error, severity) {
  const length = state.doc.length
  const from = Math.min(error.positions?.[0] ?? length, length)
  const word = /^[\w$@]+|^./.exec(state.sliceDoc(from, Math.min(from + 100, length)))?.[0].length ?? 0
  return { from: word ? from : Math.max(0, from - 1), to: from + word, severity, message: error.message }
}

// operationsOf lists the operations of a text; null if it is no GraphQL.
export function operationsOf(text) {
  try {
    return parse(text, { maxTokens: 8000 }).definitions.filter(d => d.kind === 'OperationDefinition')
  } catch {
    return null
  }
}
