package webd

import "slices"

// maxNesting is how many elements may lie in each other. What lies deeper
// loses its tags and keeps its text: over tables in tables in tables a
// browser thinks for minutes, or for ever.
const maxNesting = 100

// nesting follows the elements of a text that are open.
type nesting struct {
	open    []string       // outermost first, at most maxNesting
	dropped map[string]int // by name: opened beyond that, and not closed yet
}

// endless are elements that end without an end tag, before the next of their
// kind at the latest: they do not nest by themselves.
var endless = []string{"br", "col", "colgroup", "dd", "dt", "hr", "img", "li", "p", "tbody", "td", "tfoot", "th", "thead", "tr", "wbr"}

// opens reports whether the start tag of an element may stay.
func (n *nesting) opens(name string) bool {
	switch {
	case slices.Contains(endless, name):
		return true
	case len(n.open) < maxNesting:
		n.open = append(n.open, name)
		return true
	case n.dropped == nil:
		n.dropped = make(map[string]int)
	}
	n.dropped[name]++
	return false
}

// closes reports whether the end tag of an element may stay.
func (n *nesting) closes(name string) bool {
	if n.dropped[name] > 0 {
		n.dropped[name]--
		return false
	}
	for i, o := range slices.Backward(n.open) {
		if o == name {
			n.open = n.open[:i]
			break
		}
	}
	return true
}
