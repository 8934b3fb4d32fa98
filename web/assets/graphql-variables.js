import { json, jsonLanguage } from '@codemirror/lang-json'
import { linter } from '@codemirror/lint'
import { getNullableType, isEnumType, isInputObjectType, isListType, isNonNullType, print, typeFromAST } from 'graphql'

// variablesLanguage is JSON that knows the variables of an operation. current
// returns the schema and the operation, either of which may be missing.
//
// A variable that another operation takes is no mistake: it stays for that.
export function variablesLanguage(current) {
  return [
    json(),
    jsonLanguage.data.of({ autocomplete: context => complete(context, current()) }),
    linter(view => problems(view.state.doc.toString(), current()), { delay: 400 }),
  ]
}

function problems(text, { operation, operations }) {
  if (!text.trim()) return []
  const mark = (from, to, message) => [{ from, to, severity: 'error', message }]
  let values
  try {
    values = JSON.parse(text)
  } catch (error) {
    const at = Math.min(Number(/position (\d+)/.exec(error.message)?.[1] ?? text.length), text.length)
    return mark(Math.max(0, Math.min(at, text.length - 1)), Math.min(at + 1, text.length), `This is not JSON: ${error.message}`)
  }
  if (values === null || typeof values !== 'object' || Array.isArray(values)) return mark(0, text.length, 'The variables are one object, such as {"first": 10}.')
  if (!operation) return []
  const known = operations.flatMap(o => o.variableDefinitions ?? []).map(v => v.variable.name.value)
  return Object.keys(values).filter(name => !known.includes(name)).flatMap(name => {
    const from = Math.max(0, text.indexOf(JSON.stringify(name)))
    return [{ from, to: Math.min(from + name.length + 2, text.length), severity: 'error', message: `The query has no variable $${name}.` }]
  })
}

// place reads JSON up to the cursor: the keys (and, for lists, null) that lead to
// it, whether a key or a value stands there, and where its word begins.
export function place(text) {
  const open = []
  let wanted = 'value', word = null
  for (let i = 0; i < text.length; i++) {
    const sign = text[i]
    const top = open.at(-1)
    if (sign === '"') {
      const from = i
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++
      if (i >= text.length) { word = from; break } // the cursor is within it
      if (wanted === 'key' && top) try { top.key = JSON.parse(text.slice(from, i + 1)) } catch { top.key = '' }
      word = null
    } else if (sign === '{' || sign === '[') {
      open.push({ list: sign === '[', key: null })
      wanted = sign === '{' ? 'key' : 'value'
      word = null
    } else if (sign === '}' || sign === ']') {
      open.pop()
      wanted = 'end'
    } else if (sign === ':') {
      wanted = 'value'
      word = null
    } else if (sign === ',') {
      wanted = top && !top.list ? 'key' : 'value'
      word = null
    } else if (/\s/.test(sign)) {
      word = null
    } else {
      word ??= i
    }
  }
  const path = open.map((o, i) => o.list ? null : i === open.length - 1 && wanted === 'key' ? undefined : o.key).filter(k => k !== undefined)
  return { inside: open.length > 0, wanted, path, from: word ?? text.length }
}

function complete(context, { schema, operation }) {
  if (!operation?.variableDefinitions?.length) return null
  const all = context.state.doc.toString()
  const at = place(all.slice(0, context.pos))
  if (!context.explicit && at.from === context.pos) return null
  const rest = all.slice(context.pos)
  const to = context.pos + (/^\w*"/.exec(rest)?.[0].length ?? 0)
  let options
  if (!at.inside) {
    if (all.trim()) return null
    options = [{ label: '{ … }', detail: 'all variables', apply: skeleton(schema, operation) }]
  } else if (at.wanted === 'key') {
    options = keysAt(schema, operation, at.path).map(k => ({ ...k, label: `"${k.label}"`, apply: `"${k.label}"${/^\w*"?\s*:/.test(rest) ? '' : ': '}` }))
  } else if (at.wanted === 'value') {
    options = valuesOf(typeAt(schema, operation, at.path))
  }
  return options?.length ? { from: at.from, to, options, filter: true } : null
}

function variableType(schema, operation, name) {
  const definition = operation.variableDefinitions.find(v => v.variable.name.value === name)
  if (!definition) return null
  if (schema) return typeFromAST(schema, definition.type) ?? null
  return /^Boolean!?$/.test(print(definition.type)) ? 'Boolean' : null
}

// typeAt is the type of what stands at a path, null if it is not known.
function typeAt(schema, operation, path) {
  let type = variableType(schema, operation, path[0])
  for (const key of path.slice(1)) {
    if (!type || typeof type === 'string') return null
    type = getNullableType(type)
    if (key === null) type = isListType(type) ? type.ofType : null
    else type = isInputObjectType(type) ? type.getFields()[key]?.type : null
  }
  return type ?? null
}

function keysAt(schema, operation, path) {
  if (!path.length) {
    return operation.variableDefinitions.map(v => ({ label: v.variable.name.value, detail: print(v.type), boost: v.type.kind === 'NonNullType' && !v.defaultValue ? 1 : 0 }))
  }
  const type = typeAt(schema, operation, path)
  const object = type && typeof type !== 'string' ? getNullableType(type) : null
  if (!isInputObjectType(object)) return []
  return Object.values(object.getFields()).map(f => ({ label: f.name, detail: String(f.type), info: f.description || undefined, gone: f.deprecationReason != null, boost: isNonNullType(f.type) ? 1 : 0 }))
}

function valuesOf(type) {
  if (type === null) return []
  const yesOrNo = ['true', 'false'].map(label => ({ label, detail: 'Boolean' }))
  if (type === 'Boolean') return yesOrNo
  const bare = getNullableType(type)
  const out = []
  if (isEnumType(bare)) out.push(...bare.getValues().map(v => ({ label: `"${v.name}"`, detail: bare.name, info: v.description || undefined, gone: v.deprecationReason != null })))
  else if (bare.name === 'Boolean') out.push(...yesOrNo)
  else if (isListType(bare)) out.push({ label: '[]', detail: String(bare) })
  else if (isInputObjectType(bare)) out.push({ label: '{}', detail: bare.name })
  if (!isNonNullType(type)) out.push({ label: 'null', boost: -1 })
  return out
}

// skeleton is an object with all variables that need a value, or all if none
// does.
function skeleton(schema, operation) {
  const needed = operation.variableDefinitions.filter(v => v.type.kind === 'NonNullType' && !v.defaultValue)
  const list = needed.length ? needed : operation.variableDefinitions
  const lines = list.map(v => `  ${JSON.stringify(v.variable.name.value)}: ${blank(variableType(schema, operation, v.variable.name.value), print(v.type))}`)
  return `{\n${lines.join(',\n')}\n}`
}

function blank(type, text) {
  const bare = type && typeof type !== 'string' ? getNullableType(type) : null
  if (isListType(bare)) return '[]'
  if (isInputObjectType(bare)) return '{}'
  if (isEnumType(bare)) return JSON.stringify(bare.getValues()[0]?.name ?? '')
  const name = text.replace(/!$/, '')
  return { Int: '0', Float: '0', Boolean: 'false', String: '""', ID: '""' }[name] ?? (name.startsWith('[') ? '[]' : 'null')
}
