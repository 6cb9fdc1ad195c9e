package webd

// shortcut is a line of the overlay that explains the keyboard. The keys
// themselves are in assets/keys.js.
type shortcut struct {
	Keys []string
	Text string // a key of the catalogue
}

var shortcuts = []shortcut{
	{[]string{"j", "k"}, "help.next"},
	{[]string{"Enter"}, "help.open"},
	{[]string{"u", "Esc"}, "help.back"},
	{[]string{"c"}, "help.compose"},
	{[]string{"r"}, "help.reply"},
	{[]string{"a"}, "help.reply-all"},
	{[]string{"f"}, "help.forward"},
	{[]string{"e"}, "help.archive"},
	{[]string{"#"}, "help.delete"},
	{[]string{"b"}, "help.move"},
	{[]string{"x"}, "help.select"},
	{[]string{"s"}, "help.star"},
	{[]string{"m"}, "help.read"},
	{[]string{"v"}, "help.source"},
	{[]string{"h"}, "help.arrived"},
	{[]string{"/"}, "help.search"},
	{[]string{"g", "i"}, "help.inbox"},
	{[]string{"g", "s"}, "help.sent"},
	{[]string{"g", "d"}, "help.drafts"},
	{[]string{"z"}, "help.undo"},
	{[]string{"Ctrl", "Enter"}, "help.send"},
	{[]string{"?"}, "help.help"},
}

// Shortcuts are the lines of the overlay.
func (p page) Shortcuts() []shortcut { return shortcuts }
