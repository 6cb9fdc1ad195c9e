// Writing: a card over the mail that one reads, or a page of its own. The
// draft is kept on the server, where other devices see it. Loaded when somebody
// begins to write.

import { post, toast, word } from "./page.js"
import { go, isComposeURL, isNarrow, fetchPane, main } from "./mail.js"
import { recipients } from "./recipients.js"

const saveAfter = 3000 // milliseconds after the last change
let writing // what is being written, or undefined

// openComposer shows the form of a URL as a card.
export const openComposer = async (url, push = true) => {
  if (main?.classList.contains("writing") || !document.getElementById("list") || isNarrow()) return location.assign(url)
  if (!await closeComposer()) return
  const fragment = await fetchPane(url, "compose")
  const card = fragment.getElementById("composer")
  if (!card) return location.assign(url)
  card.classList.add("card-over")
  document.body.append(card)
  writing = write(card, location.href)
  if (push) history.pushState(null, "", url)
  const text = card.elements.text
  const to = card.querySelector('[name="to"]')
  const first = to.value ? text : to
  first.focus()
  text.setSelectionRange(0, 0)
}

// closeComposer keeps the draft and puts the card away. When the draft could
// not be kept the card stays, and the answer is false.
export const closeComposer = async () => {
  if (!writing || main?.classList.contains("writing")) return true
  const { form, save } = writing
  if (!await save()) return false
  writing = undefined
  form.remove()
  return true
}

// write makes a form save itself, and send itself without leaving the page.
const write = (form, returnTo) => {
  const status = form.querySelector(".saved")
  const alert = form.querySelector(".alert")
  let dirty = false
  let timer
  let saving = Promise.resolve()
  let sending = false
  let done = false
  recipients(form)

  const say = (text, button) => {
    alert.hidden = !text
    delete alert.dataset.unsaved
    alert.replaceChildren(Object.assign(document.createElement("span"), { textContent: text }))
    if (button) alert.append(" ", button)
  }

  const fields = (what, more = []) => {
    const data = new FormData(form)
    data.delete("do")
    data.delete("file")
    for (const file of more) data.append("file", file)
    data.set("do", what)
    return data
  }

  // save stores the draft once the save before it has ended: each replaces
  // the draft of the other.
  const save = (files = []) => {
    clearTimeout(timer)
    if (done || sending || (!dirty && !files.length)) return saving
    dirty = false
    saving = saving.then(async () => {
      if (files.length) status.textContent = word("uploading")
      const answer = await post("/compose", fields("save", files))
      if (answer.error) {
        dirty = true
        status.textContent = word("unsaved")
        say(answer.error, answer.remedy)
        alert.dataset.unsaved = true
        return
      }
      form.elements.draft.value = answer.draft
      status.textContent = answer.saved
      if (files.length || alert.dataset.unsaved) say("")
      showFiles(answer.files ?? [])
      if (isComposeURL(new URL(location.href)) && form.isConnected) history.replaceState(null, "", "/compose?draft=" + answer.draft)
    })
    return saving
  }

  // kept saves what there is to save, and reports whether that went well.
  const kept = async () => {
    await save()
    return !dirty
  }

  const changed = () => {
    dirty = true
    clearTimeout(timer)
    timer = setTimeout(() => save(), saveAfter)
  }

  const showFiles = files => {
    form.querySelector("[data-files]").replaceChildren(...files.map(f => {
      const item = document.createElement("li")
      item.className = "chip"
      const key = Object.assign(document.createElement("input"), { type: "hidden", name: "keep", value: f.Key })
      const name = Object.assign(document.createElement("span"), { textContent: f.Name })
      const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "×", className: "quiet", ariaLabel: word("remove", f.Name) })
      remove.addEventListener("click", () => {
        item.remove()
        dirty = true
        save()
      })
      item.append(key, name, remove)
      return item
    }))
  }

  const leave = to => {
    done = true
    clearTimeout(timer)
    if (form.classList.contains("card-over")) {
      writing = undefined
      form.remove()
      history.pushState(null, "", returnTo)
    } else location.assign(to)
  }

  const send = async sure => {
    await save()
    sending = true
    const data = fields(sure ? "send-anyway" : "send")
    const button = form.querySelector('button[value="send"]')
    button.disabled = true
    const answer = await post("/compose", data)
    button.disabled = sending = false
    if (answer.ask) {
      const anyway = Object.assign(document.createElement("button"), { type: "button", textContent: word("anyway") })
      anyway.addEventListener("click", () => send(true))
      say(answer.ask, anyway)
      return anyway.focus()
    }
    if (answer.error) return say(answer.error, answer.remedy)
    const card = form.classList.contains("card-over")
    if (!card) sessionStorage.setItem("toast", JSON.stringify(answer))
    leave(answer.url ?? "/m/inbox")
    if (card) toast(answer, back => back.url && go(back.url))
  }

  const discard = async () => {
    await saving
    done = true
    const answer = await post("/compose", fields("discard"))
    done = !answer.error
    if (!done) return say(answer.error, answer.remedy)
    const card = form.classList.contains("card-over")
    if (!card) sessionStorage.setItem("toast", JSON.stringify(answer))
    leave("/m/inbox")
    if (card) toast(answer, back => back.url && go(back.url))
  }

  form.addEventListener("input", event => event.target.type !== "file" && changed())
  form.addEventListener("focusout", () => save())
  form.addEventListener("submit", event => {
    event.preventDefault()
    const what = event.submitter?.value
    if (what === "send") send(false)
    else if (what === "discard") discard()
    else if (what === "send-anyway") send(true)
    else {
      dirty = true
      save()
    }
  })
  form.addEventListener("keydown", event => {
    // Enter confirms what an input method composes: then it must not send.
    if (event.isComposing || event.keyCode === 229) return
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      send(false)
    } else if (event.key === "Enter" && event.target.matches("input:not([type=file], [type=checkbox])")) {
      event.preventDefault()
    } else if (event.key === "Escape" && form.classList.contains("card-over")) {
      event.preventDefault()
      form.querySelector("a[data-close]").click()
    }
  })
  form.addEventListener("click", event => {
    if (!event.target.closest("a[data-close]")) return
    event.preventDefault()
    event.stopPropagation()
    kept().then(yes => yes && leave(form.dataset.close))
  })
  form.elements.file.addEventListener("change", () => {
    const files = [...form.elements.file.files]
    form.elements.file.value = ""
    save(files)
  })
  form.addEventListener("dragover", event => {
    if (!event.dataTransfer.types.includes("Files")) return
    event.preventDefault()
    form.dataset.drop = word("drop-here")
  })
  form.addEventListener("dragleave", event => {
    if (!form.contains(event.relatedTarget)) delete form.dataset.drop
  })
  form.addEventListener("drop", event => {
    delete form.dataset.drop
    if (!event.dataTransfer.files.length) return
    event.preventDefault()
    save([...event.dataTransfer.files])
  })
  form.addEventListener("paste", event => {
    if (!event.clipboardData.files.length) return
    event.preventDefault()
    save([...event.clipboardData.files])
  })
  showFiles([...form.querySelectorAll("[data-files] > li")].map(li => ({ Key: li.querySelector("[name=keep]").value, Name: li.querySelector("span").textContent })))
  document.addEventListener("visibilitychange", () => document.hidden && save())
  // In another language the letter goes on as it is, over the same page.
  document.addEventListener("click", async event => {
    const link = event.target.closest("[data-keep]")
    if (!link || !form.isConnected) return
    event.preventDefault()
    if (!await kept()) return
    const to = new URL(link.href)
    if (form.classList.contains("card-over")) sessionStorage.setItem("card", location.pathname + location.search)
    const under = new URL(form.classList.contains("card-over") ? returnTo : location.href, location.href)
    under.searchParams.set("lang", to.searchParams.get("lang"))
    location.assign(under)
  })
  return { form, save: kept }
}

const own = document.getElementById("composer")
if (own) {
  writing = write(own, location.href)
  own.querySelector("[autofocus]").focus() // it has moved
}
