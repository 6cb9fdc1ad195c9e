package webd

import (
	"html/template"
	"slices"
	"strings"
)

// icons are drawn on 24×24, strokes only. They are in each page once, as
// symbols; emoji would be empty boxes where no such font is.
var icons = map[string]string{
	"brand":   `<path d="M3 6h18v12H3zM3 7l9 7 9-7"/>`,
	"archive": `<path d="M3 5h18v4H3zM5 9v10h14V9M10 13h4"/>`,
	"arrived": `<circle cx="5" cy="6" r="2"/><circle cx="19" cy="18" r="2"/><path d="M7 6h6a4 4 0 0 1 0 8h-2a2 2 0 0 0 0 4h6"/>`,
	"back":    `<path d="m14 6-6 6 6 6"/>`,
	"clip":    `<path d="m20 11-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7l-8.5 8.5a1.6 1.6 0 0 1-2.4-2.4L14.500 7"/>`,
	"close":   `<path d="m6 6 12 12M18 6 6 18"/>`,
	"draft":   `<path d="m4 20 1-5L16 4l4 4L9 19zM14 6l4 4"/>`,
	"file":    `<path d="M6 3h8l5 5v13H6zM14 3v5h5"/>`,
	"folder":  `<path d="M3 6h6l2 2h10v11H3z"/>`,
	"forward": `<path d="m14 5 6 6-6 6M20 11H9a5 5 0 0 0-5 5v3"/>`,
	"inbox":   `<path d="M3 13 6 4h12l3 9v7H3zM3 13h5l1.500 3h5l1.500-3h5"/>`,
	"junk":    `<circle cx="12" cy="12" r="9"/><path d="m6 6 12 12"/>`,
	"menu":    `<path d="M4 6h16M4 12h16M4 18h16"/>`,
	"more":    `<circle cx="5" cy="12" r="1"/><circle cx="12" cy="12" r="1"/><circle cx="19" cy="12" r="1"/>`,
	"person":  `<circle cx="12" cy="8" r="4"/><path d="M4 21c0-4 4-6 8-6s8 2 8 6"/>`,
	"plus":    `<path d="M12 5v14M5 12h14"/>`,
	"read":    `<path d="M3 9.500 12 4l9 5.500V19H3zM3 10l9 6 9-6"/>`,
	"unread":  `<path d="M3 6h13M21 11v7H3V6l9 7 4-3"/><circle cx="19.500" cy="6" r="2.500" fill="currentColor"/>`,
	"reply":   `<path d="m10 5-6 6 6 6M4 11h11a5 5 0 0 1 5 5v3"/>`,
	"all":     `<path d="m12 5-6 6 6 6M7 5l-5 6 5 6M6 11h10a5 5 0 0 1 5 5v3"/>`,
	"search":  `<circle cx="11" cy="11" r="6"/><path d="m20 20-4.500-4.500"/>`,
	"send":    `<path d="M3 12 21 4l-6 17-4-7zM11 14 21 4"/>`,
	"source":  `<path d="m8 7-5 5 5 5M16 7l5 5-5 5"/>`,
	"star":    `<path d="m12 3 2.700 6 6.300.600-4.800 4.300 1.500 6.400L12 17l-5.700 3.300 1.500-6.400L3 9.600 9.300 9z"/>`,
	"theme":   `<circle cx="12" cy="12" r="8"/><path d="M12 4v16a8 8 0 0 0 0-16z" fill="currentColor"/>`,
	"trash":   `<path d="M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14"/>`,
	"thread":  `<path d="M4 5h16v10H9l-5 4zM8 9h8M8 12h5"/>`,
}

// icon is a reference to one of the symbols.
func icon(name string) template.HTML {
	if _, ok := icons[name]; !ok {
		panic("no icon " + name)
	}
	return template.HTML(`<svg class="i" aria-hidden="true"><use href="#i-` + name + `"/></svg>`)
}

// sprite is all symbols.
var sprite = func() template.HTML {
	var names []string
	for name := range icons {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(`<svg class="sprite" aria-hidden="true">`)
	for _, name := range names {
		b.WriteString(`<symbol id="i-` + name + `" viewBox="0 0 24 24">` + icons[name] + `</symbol>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}()

// Sprite is the symbols of the icons.
func (p page) Sprite() template.HTML { return sprite }
