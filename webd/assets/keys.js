// The keyboard. Arrows, and every key within a field, are left alone; and so
// is whatever an input method is composing.

import { post, toast } from "./page.js"
import { act, backURL, go, isNarrow, list, main, reader, refresh, rows, rowOf } from "./mail.js"
import { selected } from "./rows.js"

// flash shows which button a key stands for.
const flash = element => {
  element?.classList.add("flash")
  setTimeout(() => element?.classList.remove("flash"), 250)
}

const click = selector => {
  const element = document.querySelector(selector)
  flash(element)
  element?.click()
}

let last // the row that had the focus last
document.addEventListener("focusin", event => {
  last = event.target.closest(".row") ?? last
})

const focused = () => document.activeElement.closest(".row")
const current = () => focused() ?? (last?.isConnected ? last : undefined) ?? (reader()?.dataset.key && rowOf(reader().dataset.key))

// about is what an action is about: what is selected, else the row with the
// focus, else what is open.
const about = () => {
  const chosen = selected()
  if (chosen.length) return chosen
  const row = focused()
  if (row) return [row.dataset.keys ?? row.dataset.key]
  return reader()?.dataset.key ? [reader().dataset.key] : []
}

const step = by => {
  const all = rows()
  const at = all.indexOf(current())
  const seen = all.find(r => r.getBoundingClientRect().bottom > list().getBoundingClientRect().top + 60)
  const row = at < 0 ? seen : all[Math.min(Math.max(at + by, 0), all.length - 1)]
  const link = row?.querySelector("a")
  link?.focus({ preventScroll: true })
  row?.scrollIntoView({ block: "nearest" })
}

const back = async () => {
  const key = reader()?.dataset.key
  if (!key) return
  await go(backURL())
  rowOf(key)?.querySelector("a").focus()
}

const doIt = verb => {
  const keys = about()
  if (!keys.length) return
  flash(document.querySelector(`.acts [value="${verb}"]`))
  act(verb, keys)
}

const toggle = (on, off, flag) => {
  const row = focused() ?? (reader()?.dataset.key && rowOf(reader().dataset.key))
  const isOn = row ? row.classList.contains(flag) : Boolean(document.querySelector(`#more [value="${off}"]`))
  doIt(isOn ? off : on)
}

const choose = () => {
  const keys = about()
  if (!keys.length) return
  if (!selected().length && focused()) {
    const box = focused().querySelector("input")
    box.checked = true
    box.dispatchEvent(new Event("change", { bubbles: true }))
  }
  if (selected().length) return document.querySelector('.bulk select[name="to"]').focus()
  document.getElementById("more")?.showPopover()
  document.querySelector('#more select[name="to"]')?.focus()
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  u: back,
  Escape: back,
  c: () => click("a.compose"),
  r: () => click('.acts a[href$="/reply"]'),
  a: () => click('.acts a[href$="/reply-all"]'),
  f: () => click('.acts a[href$="/forward"]'),
  e: () => doIt("archive"),
  "#": () => doIt("delete"),
  Delete: () => doIt("delete"),
  b: choose,
  s: () => toggle("star", "unstar", "starred"),
  m: () => toggle("unread", "read", "unread"),
  x: () => current()?.querySelector("input").click(),
  v: () => click('.views [data-view="source"]'),
  h: () => click('.views [data-view="arrived"]'),
  "/": () => document.querySelector(".search input").focus(),
  "?": () => document.getElementById("help").showModal(),
  z: async () => {
    const button = [...document.querySelectorAll("#toasts [data-undo]")].at(-1)
    if (!button) return
    if (!button.form) return button.click()
    button.closest(".toast").remove()
    const answer = await post("/undo", new URLSearchParams({ undo: button.dataset.undo }))
    toast(answer)
    if (answer.url) go(answer.url)
    else refresh()
  },
}
const goTo = { i: "inbox", s: "send", d: "draft" }

let waitingForPlace = 0
document.addEventListener("keydown", event => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
  const field = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")
  if (field) {
    if (field.matches('select[name="to"]') && event.key === "Enter") {
      event.preventDefault()
      field.blur()
      field.parentElement.querySelector("button").click()
    }
    if (event.key === "Escape" && !field.closest(".composer")) field.blur()
    return
  }
  if (document.querySelector("dialog[open]") || event.target.closest(".composer") || !main || !list()) {
    if (event.key === "?" && !document.querySelector("dialog[open]")) keys["?"]()
    return
  }
  if (Date.now() - waitingForPlace < 1500) {
    waitingForPlace = 0
    const icon = goTo[event.key]
    if (icon) {
      event.preventDefault()
      click(`.folders a:has(use[href="#i-${icon}"])`)
      return
    }
  }
  if (event.key === "g") {
    waitingForPlace = Date.now()
    return
  }
  if (keys[event.key]) {
    event.preventDefault()
    keys[event.key]()
  }
})
