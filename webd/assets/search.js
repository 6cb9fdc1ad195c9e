// Suggestions for the search box: operators, folders, and people.

import { combobox, known, matching } from "./suggest.js"

// cut parts a search into what is done and the term that is being typed.
const cut = text => {
  let from = 0
  let isQuoted = false
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') isQuoted = !isQuoted
    else if (!isQuoted && /\s/.test(text[i])) from = i + 1
  }
  return [text.slice(0, from), text.slice(from)]
}

const quoted = text => (/\s/.test(text) ? `"${text.replaceAll('"', "")}"` : text)

const find = async text => {
  const { people, operators, folders } = await known()
  const [, not, written, value] = /^(-?)((?:[a-z]+[:：])?)"?([^"]*)/i.exec(cut(text)[1])
  const operator = written.toLowerCase().replace("：", ":")
  const matchingPeople = as => matching(people, value).map(p => ({ text: not + as + quoted(p.hint), hint: p.text }))
  if (["from:", "to:", "cc:"].includes(operator)) return matchingPeople(operator)
  const some = operator === "in:" ? folders : operators.filter(o => !operator || (o.text.startsWith(operator) && o.text !== operator))
  const found = matching(some, value).map(s => ({ ...s, text: not + s.text }))
  return operator || !value ? found : [...found.slice(0, 4), ...matchingPeople("from:")]
}

const input = document.querySelector(".search input")
const { open } = combobox(input, {
  find,
  take: suggestion => {
    const wantsMore = suggestion.text.endsWith(":")
    input.value = cut(input.value)[0] + suggestion.text + (wantsMore ? "" : " ")
    input.focus()
    if (wantsMore) open()
  },
})
if (document.activeElement === input) open()
