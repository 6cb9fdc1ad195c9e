// Recipients as chips. What has been typed stays text until it is complete;
// each chip is a field of the form by the same name, so that the form says the
// same as it would without us.

import { word } from "./page.js"
import { combobox, isComposing, known, matching } from "./suggest.js"

const separators = ",;、，；"

// split cuts a list of addresses at its separators, but not within quotes or
// angle brackets. What follows the last separator is the rest.
const split = text => {
  const all = []
  let one = ""
  let inside = ""
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (inside === '"' && c === "\\") one += c + (text[++i] ?? "")
    else if (!inside && separators.includes(c)) {
      all.push(one.trim())
      one = ""
    } else {
      if (inside ? c === inside : c === '"' || c === "<") inside = inside ? "" : c === "<" ? ">" : c
      one += c
    }
  }
  return { whole: all.filter(Boolean), rest: one }
}

// parts are the name and the address of what one types.
const parts = text => {
  const [, name, address] = /^(.*?)\s*<([^<>]*)>$/s.exec(text) ?? [, "", text]
  return { name: name.replace(/^"(.*)"$/s, "$1").replace(/\\(.)/g, "$1"), address: address.trim() }
}

const isAddress = text => /^("[^"]+"|[^\s@<>"(),:;[\]\\]+)@([^\s@<>"(),:;]+|\[[^\s\]]+\])$/.test(parts(text).address)

// chips turns a field for recipients into one with chips.
const chips = input => {
  const { name } = input
  const caption = input.closest("label").querySelector("span")
  const box = Object.assign(document.createElement("div"), { className: "recipients" })
  const list = Object.assign(document.createElement("ul"), { role: "list" })
  caption.id ||= `label-${name}`
  input.removeAttribute("inputmode") // names are found too, and those are written with an input method
  input.setAttribute("aria-labelledby", caption.id)
  input.setAttribute("aria-description", word("chips"))
  const label = input.closest("label")
  label.replaceWith(box)
  box.append(caption, list, input)

  const changed = () => list.dispatchEvent(new Event("input", { bubbles: true }))
  const texts = () => [...list.querySelectorAll("input")].map(i => i.value)
  const buttons = () => [...list.querySelectorAll("button")]

  const remove = (chip, to = input) => {
    chip.remove()
    to.focus()
    changed()
  }
  const add = text => {
    if (texts().some(other => parts(other).address.toLowerCase() === parts(text).address.toLowerCase())) return
    const chip = Object.assign(document.createElement("li"), { className: "chip", title: text })
    const face = Object.assign(document.createElement("span"), { textContent: parts(text).name || parts(text).address })
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "×", className: "quiet", tabIndex: -1, ariaLabel: word("remove", text) })
    button.addEventListener("click", () => remove(chip))
    face.addEventListener("click", () => {
      commit()
      input.value = text
      remove(chip)
    })
    if (!isAddress(text)) {
      chip.classList.add("bad")
      chip.title = word("no-address", text)
      face.append(Object.assign(document.createElement("span"), { className: "sr", textContent: word("no-address", "") }))
    }
    chip.append(Object.assign(document.createElement("input"), { type: "hidden", name, value: text }), face, button)
    list.append(chip)
  }
  // commit makes chips of what has been typed, also of what is not complete.
  const commit = () => {
    const { whole, rest } = split(input.value)
    for (const text of [...whole, rest.trim()]) if (text) add(text)
    input.value = ""
  }

  combobox(input, {
    find: async text => {
      if (!text.trim() && text) return []
      const taken = new Set(texts().map(t => parts(t).address.toLowerCase()))
      return matching((await known()).people, text).filter(p => !taken.has(p.hint.toLowerCase()))
    },
    eager: text => text.trim() !== "" && !isAddress(text.trim()),
    take: person => {
      add(person.text)
      input.value = ""
      input.focus()
      changed()
    },
  })

  input.addEventListener("input", event => {
    if (event.isComposing) return
    const { whole, rest } = split(input.value)
    if (!whole.length) return
    for (const text of whole) add(text)
    input.value = rest.trimStart()
  })
  input.addEventListener("paste", event => {
    const text = event.clipboardData.getData("text/plain")
    if (!/[\r\n]/.test(text.trim())) return
    event.preventDefault() // a column of addresses
    for (const line of text.split(/[\r\n]+/)) for (const one of Object.values(split(line)).flat()) if (one.trim()) add(one.trim())
    changed()
  })
  input.addEventListener("blur", () => {
    if (!input.value.trim()) return
    commit()
    changed()
  })
  input.addEventListener("keydown", event => {
    if (isComposing(event) || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Enter" && input.value.trim()) {
      event.preventDefault()
      commit()
      changed()
    } else if (["Backspace", "ArrowLeft"].includes(event.key) && input.selectionStart === 0 && input.selectionEnd === 0 && list.children.length) {
      event.preventDefault()
      buttons().at(-1).focus()
    }
  })
  list.addEventListener("keydown", event => {
    const all = buttons()
    const at = all.indexOf(event.target)
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Backspace" || event.key === "Delete") remove(event.target.closest("li"), all[event.key === "Delete" ? at + 1 : at - 1] ?? input)
    else if (event.key === "ArrowLeft") (all[at - 1] ?? all[0]).focus()
    else if (event.key === "ArrowRight") (all[at + 1] ?? input).focus()
    else if (event.key.length === 1 && event.key !== " ") return input.focus() // the browser types it there
    else return
    event.preventDefault()
    event.stopPropagation()
  })
  box.addEventListener("click", event => [box, caption].includes(event.target) && input.focus())
  commit()
}

// recipients turns the fields of a form.
export const recipients = form => {
  for (const input of form.querySelectorAll("input[data-recipients]")) chips(input)
}
