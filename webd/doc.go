// Package webd is the browser's way to the mail: a webmail of server-rendered
// pages, which also hosts the compare lab, the wire log and the admin page.
//
// It is a client of the store like the mail protocols, and no mail protocol
// itself: between browser and server it is HTTP, and what is sent from here
// enters the store by the same door as submission and goes on by SMTP. It
// never fetches what a mail names. It does not import smtpd, pop3d or imapd.
//
// # Notes
//
//   - Every view is a URL, and every page works without JavaScript. The modules
//     in assets replace panes of a page with those of another; they hold no
//     state that the URL, the form or the store does not have.
//   - Reading is GET, changing is POST. Each POST passes the guard: the origin
//     of the page that sent it, then the token of the session.
//   - A mail's own HTML is shown behind three walls: an allow-list, a frame
//     without scripts on an opaque origin, and a Content-Security-Policy of
//     the frame's own response, which is the one that stops requests.
//   - All words are in the catalogue, in English and Japanese.
//
// Start with server.go (the routes and the way of a request), then guard.go,
// session.go and page.go. Each feature has a file of its own with its routes
// at the head; mail.go is the first to read.
package webd
