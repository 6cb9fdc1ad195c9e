// Changes as they happen, by server-sent events. What is on the page stays
// where it is: new rows come in above, and the list moves by their height, so
// that what one reads does not.

import { loggedOut, toast, word } from "./page.js"
import { fetchPane, go, list, main, reader, refresh, rows, setFlag } from "./mail.js"

let source
let at // the cursor: where the page has been told up to

const news = document.createElement("div")
news.className = "sr"
news.setAttribute("role", "status")
document.body.append(news)

// showLive marks the side pane, which may just have been replaced.
export const showLive = () => {
  const mark = document.getElementById("live")
  if (mark) mark.hidden = source?.readyState !== EventSource.OPEN
}

const open = () => {
  source?.close()
  at ??= document.getElementById("side").dataset.at
  source = new EventSource("/live?at=" + encodeURIComponent(at))
  source.addEventListener("open", showLive)
  source.addEventListener("error", () => {
    showLive()
    news.textContent = word("offline")
  })
  source.addEventListener("over", () => {
    source.close()
    showLive()
    loggedOut()
  })
  source.addEventListener("notice", event => toast(JSON.parse(event.data)))
  source.addEventListener("mail", event => {
    at = event.lastEventId
    const { folders, changes } = JSON.parse(event.data)
    for (const f of folders) counts(f)
    // One after another: rows must not come in twice.
    busy = busy.then(() => changed(changes ?? []))
  })
}
let busy = Promise.resolve()

const counts = ({ box, count }) => {
  const link = document.querySelector(`.folders a[data-folder="${CSS.escape(box)}"]`)
  if (link) link.querySelector(".count").textContent = count || ""
  else if (!document.querySelector(".foldermenu[open]")) busy = busy.then(sides)
}

// sides loads the folders again: another client has made or renamed one.
const sides = async () => {
  const fragment = await fetchPane(location.href, "list")
  document.getElementById("side").replaceWith(fragment.getElementById("side"))
  showLive()
}

const changed = async changes => {
  const here = changes.find(c => c.box === list().dataset.box)
  if (!here || list().dataset.query) return
  if (here.reload) return refresh()
  const total = document.querySelector(".bar .total")
  if (total) total.textContent = here.total
  for (const uid of here.gone ?? []) {
    const row = document.querySelector(`.row[data-uid="${uid}"]`)
    if (row && !row.dataset.keys) row.remove()
  }
  const top = Math.max(0, ...rows().map(r => Number(r.dataset.uid)))
  let fresh = false
  for (const m of here.flags ?? []) {
    const row = document.querySelector(`.row[data-uid="${m.uid}"]`)
    if (row && !row.dataset.keys) {
      setFlag(row, "unread", Boolean(m.unread))
      setFlag(row, "starred", Boolean(m.starred))
      row.classList.toggle("deleted", Boolean(m.deleted))
    }
    fresh ||= !row && m.uid > top
  }
  if (list().dataset.still !== undefined) return
  if (!rows().length || list().dataset.threads) {
    return here.flags?.length || here.gone?.length ? refresh() : undefined
  }
  if (fresh) await comeIn(top)
}

// comeIn adds the rows that are newer than top.
const comeIn = async top => {
  const fragment = await fetchPane("/m/" + list().dataset.box, "rows")
  const added = [...fragment.querySelectorAll(".row")].filter(r => Number(r.dataset.uid) > top && !document.querySelector(`.row[data-uid="${r.dataset.uid}"]`))
  if (!added.length) return
  const anchor = rows().find(r => r.getBoundingClientRect().bottom > list().getBoundingClientRect().top + 60)
  const before = anchor?.getBoundingClientRect().top
  const reading = list().scrollTop > 0
  document.getElementById("rows").prepend(...added)
  if (reading && anchor) list().scrollTop += anchor.getBoundingClientRect().top - before
  const unread = added.filter(r => r.classList.contains("unread"))
  if (unread.length) {
    for (const row of added) row.classList.add("fresh")
    news.textContent = word("arrived", unread[0].querySelector(".who").textContent.trim())
  }
}

// listen begins, once there is something to show changes in.
export const listen = () => {
  if (!main || !list()) return
  open()
  // A page that nobody looks at needs no stream: browsers allow few of them.
  let hidden
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden)
    if (document.hidden) hidden = setTimeout(() => source.close(), 30_000)
    else if (source.readyState === EventSource.CLOSED) open()
  })
}
