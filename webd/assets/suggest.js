// Fields with suggestions: a field becomes a combobox with a list, as the ARIA
// practices describe it. Loaded when such a field is used for the first time.

import { word } from "./page.js"

document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("./suggest.css", import.meta.url) }))

// known is what the server has to suggest. It is asked once.
let asked
export const known = () => (asked ??= fetch("/suggestions", { headers: { Accept: "application/json" } })
  .then(response => (response.ok ? response.json() : Promise.reject(response.status)))
  .catch(() => {
    asked = undefined
    return { people: [], operators: [], folders: [] }
  }))

const fold = text => text.normalize("NFKC").toLowerCase()

// matching are the suggestions that have all words of a text, those first
// where it stands at the beginning.
export const matching = (all, text) => {
  const words = fold(text).split(/\s+/).filter(Boolean)
  const begins = s => fold(s.text).startsWith(words[0]) || fold(s.hint ?? "").startsWith(words[0])
  const found = all.filter(s => words.every(w => fold(s.text + " " + (s.hint ?? "")).includes(w)))
  return words.length ? [...found.filter(begins), ...found.filter(s => !begins(s))] : found
}

// Whatever is pressed while an input method composes belongs to it.
export const isComposing = event => event.isComposing || event.keyCode === 229

const most = 8 // suggestions at a time
let lists = 0

// combobox gives a field a list. find(text) resolves to what may be taken,
// or nothing; eager(text) says whether Enter takes the first without asking;
// take is called with the one that was chosen.
export const combobox = (input, { find, eager = () => false, take }) => {
  const list = Object.assign(document.createElement("ul"), { id: `suggest-${++lists}`, className: "suggest", role: "listbox", ariaLabel: word("suggestions"), hidden: true })
  input.after(list)
  for (const [name, value] of Object.entries({ role: "combobox", autocomplete: "off", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) input.setAttribute(name, value)
  let found = []
  let at = -1
  let round = 0

  const mark = to => {
    at = to
    list.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false")
    const option = list.children[at]
    option?.setAttribute("aria-selected", "true")
    option?.scrollIntoView({ block: "nearest" })
    if (option) input.setAttribute("aria-activedescendant", option.id)
    else input.removeAttribute("aria-activedescendant")
  }
  const close = () => {
    round++
    list.hidden = true
    input.setAttribute("aria-expanded", "false")
    mark(-1)
  }
  const open = async () => {
    const mine = ++round
    const text = input.value
    const all = await find(text)
    if (mine !== round || document.activeElement !== input) return
    found = all.slice(0, most)
    if (!found.length) return close()
    list.replaceChildren(...found.map((s, i) => {
      const option = Object.assign(document.createElement("li"), { id: `${list.id}-${i}`, role: "option", ariaSelected: "false" })
      option.append(Object.assign(document.createElement("span"), { textContent: s.text }))
      if (s.hint && !s.text.includes(s.hint)) option.append(Object.assign(document.createElement("small"), { className: "mut", textContent: s.hint }))
      return option
    }))
    list.hidden = false
    input.setAttribute("aria-expanded", "true")
    mark(eager(text) ? 0 : -1)
  }
  const choose = i => {
    const chosen = found[i]
    close()
    take(chosen)
  }

  input.addEventListener("input", event => !event.isComposing && open())
  input.addEventListener("compositionend", open)
  input.addEventListener("blur", close)
  input.addEventListener("keydown", event => {
    if (isComposing(event) || event.altKey || event.ctrlKey || event.metaKey) return
    const isOpen = !list.hidden
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!isOpen) {
        if (event.key === "ArrowDown") open()
      } else if (event.key === "ArrowDown") mark(at + 1 < found.length ? at + 1 : 0)
      else mark(at > 0 ? at - 1 : found.length - 1)
    } else if (event.key === "Enter" && isOpen && at >= 0) choose(at)
    else if (event.key === "Escape" && isOpen) close()
    else return
    event.preventDefault()
    event.stopImmediatePropagation()
  })
  list.addEventListener("pointerdown", event => event.preventDefault()) // the field keeps the focus
  list.addEventListener("click", event => {
    const option = event.target.closest("li")
    if (option) choose([...list.children].indexOf(option))
  })
  return { open, close }
}
