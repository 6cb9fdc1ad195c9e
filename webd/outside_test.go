package webd

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// outside is the rest of the world, for the browser: it answers with a picture
// whatever it is asked for, and remembers what that was. It is the browser's
// proxy, so it also hears what a page asks for without telling: hints,
// pictures of styles, what other processes of the browser do.
type outside struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

var theOutside = sync.OnceValue(func() *outside {
	o := &outside{}
	o.Server = httptest.NewServer(o)
	return o
})

func (o *outside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// All that tests speak of is at .example (RFC 2606 §3); the rest is what
	// chromium has to say to its makers.
	if strings.HasSuffix(r.URL.Hostname(), ".example") {
		o.mu.Lock()
		o.asked = append(o.asked, r.URL.String()) // of CONNECT it is //host:port
		o.mu.Unlock()
	}
	if r.Method == http.MethodConnect {
		http.Error(w, "no", http.StatusBadGateway)
		return
	}
	pixels, _ := base64.StdEncoding.DecodeString(picture)
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(pixels) // a browser that has gone misses nothing
}

// take returns what was asked for since the last call.
func (o *outside) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.asked
	o.asked = nil
	return all
}

// left are the requests since the last call that left the site: those that
// the window tells of, and those that the rest of the world has heard.
func (w *window) left() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := theOutside().take()
	for _, to := range w.requests {
		if !strings.HasPrefix(to, w.URL+"/") && !strings.HasPrefix(to, "data:") && !strings.HasPrefix(to, "blob:") && !strings.HasPrefix(to, "about:") {
			all = append(all, to)
		}
	}
	clear(w.requests)
	slices.Sort(all)
	return slices.Compact(all)
}

// ran are the scripts, dialogs and words on the console since the last call,
// none of which would have been right.
func (w *window) ran() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.wrong
	w.wrong = nil
	return all
}
