// What all pages share: words, requests, notices, theme and time zone.

const words = JSON.parse(document.getElementById("words").textContent)

// word is a text of the catalogue whose key begins with "js.".
export const word = (key, ...args) => args.reduce((text, a) => text.replace(/%[sd]/, a), words[key] ?? key)

export const token = () => document.querySelector('meta[name="token"]').content

export const cookie = (name, value) => {
  document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=34560000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`
}

// post sends a form and returns what the server says as JSON. Every answer
// has error, or what was asked for.
export const post = async (url, body, options = {}) => {
  const send = () => fetch(url, { method: "POST", body, headers: { Accept: "application/json", "X-Token": token() }, ...options })
  try {
    let response = await send()
    if (response.status === 401 || response.status === 403) {
      const other = await renew()
      if (other) return { error: word("other-user", other, me()) }
      if (other === "") response = await send()
    }
    if (response.status !== 401) return await response.json()
    if (!writing()) loggedOut()
    return { error: word("logged-out"), remedy: Object.assign(document.createElement("a"), { href: "/login", target: "_blank", textContent: word("login") }) }
  } catch {
    return { error: word("failed") }
  }
}

export const me = (page = document) => page.querySelector(".me")?.title

// renew takes over the session that the same user has begun in another tab,
// and answers "". Else it answers who has, or nothing when nobody has.
const renew = async () => {
  const page = new DOMParser().parseFromString(await (await fetch("/settings")).text(), "text/html")
  const fresh = page.querySelector('meta[name="token"]').content
  if (fresh === token()) return undefined
  if (me(page) !== me()) return me(page)
  document.querySelector('meta[name="token"]').content = fresh
  document.dispatchEvent(new Event("renewed"))
  return ""
}

// otherwise is for a page whose user is no longer the one who is logged in: it
// gives way to theirs, but a letter stays.
export const otherwise = async () => {
  const said = { error: word("other-user", await renew(), me()) }
  if (writing()) return toast(said)
  sessionStorage.setItem("toast", JSON.stringify(said))
  location.assign("/m/inbox")
}

const writing = () => document.getElementById("composer")

// whileShown is for what costs the server something: browsers keep pages that
// were left, for going back, with their streams.
export const whileShown = (end, begin) => {
  addEventListener("pagehide", end)
  addEventListener("pageshow", event => event.persisted && begin())
}

// loggedOut leads to the login page; but a letter that is being written stays
// on the page, and its author logs in beside it.
export const loggedOut = () => {
  if (writing()) toast({ error: word("logged-out") })
  else location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search))
}

// toast shows a notice; undone is called with what the server says when the
// action has been taken back.
export const toast = (notice, undone) => {
  const box = document.createElement("div")
  box.className = notice.bad || notice.error ? "toast bad" : "toast"
  const text = document.createElement("span")
  text.textContent = notice.text ?? notice.error
  box.append(text)
  if (notice.undo) {
    const button = document.createElement("button")
    button.dataset.undo = notice.undo
    button.append(word("undo") + " ")
    button.append(Object.assign(document.createElement("kbd"), { textContent: "z" }))
    button.addEventListener("click", async () => {
      box.remove()
      const answer = await post("/undo", new URLSearchParams({ undo: notice.undo }))
      toast(answer)
      undone?.(answer)
    })
    box.append(button)
  }
  const toasts = document.getElementById("toasts")
  toasts.append(box)
  while (toasts.children.length > 3) toasts.firstElementChild.remove()
  setTimeout(() => box.remove(), notice.undo ? 10_000 : 6_000)
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
if (zone && !document.cookie.includes(`zone=${encodeURIComponent(zone)}`)) {
  cookie("zone", zone)
}

document.addEventListener("click", event => {
  const theme = event.target.closest("[data-theme-switch]")
  if (theme) {
    // The theme changes in place; the link does the same without us.
    event.preventDefault()
    setTheme(new URL(theme.href).searchParams.get("theme"))
  }
  const keep = event.target.closest("[data-keep]")
  if (keep) {
    // Another language is another page: that of what is shown now, where it
    // stands now.
    const url = new URL(location.href)
    url.searchParams.set("lang", keep.hreflang)
    keep.href = url
    const at = {}
    for (const pane of document.querySelectorAll("#list, #reader, #content")) at[pane.id] = pane.scrollTop
    sessionStorage.setItem("scroll", JSON.stringify(at))
  }
  const copy = event.target.closest("[data-copy]")
  if (copy) {
    navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent).then(() => toast({ text: word("copied") }))
  }
})

// left is where the panes of the page before stood, in another language.
export const left = JSON.parse(sessionStorage.getItem("scroll") ?? "{}")
for (const [id, top] of Object.entries(left)) {
  const pane = document.getElementById(id)
  if (pane) pane.scrollTop = top
}
sessionStorage.removeItem("scroll")
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard // only where the connection is safe

const setTheme = theme => {
  cookie("theme", theme)
  if (theme === "system") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  const next = { system: "light", light: "dark", dark: "system" }[theme]
  for (const link of document.querySelectorAll("[data-theme-switch]")) {
    const url = new URL(link.href)
    url.searchParams.set("theme", next)
    link.href = url
    link.title = word("theme", word(theme))
    link.ariaLabel = link.title
  }
}
