package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A long wait is several calls, each going on where the last one ended.
func TestLongWaits(t *testing.T) {
	var calls []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		calls = append(calls, q.Get("after")+" "+q.Get("timeout")+" "+q.Get("subject~")+" "+r.Header.Get("Authorization"))
		if n := len(calls); n < 3 {
			w.WriteHeader(http.StatusRequestTimeout)
			fmt.Fprintf(w, `{"code":"timeout","cursor":"c%d","arrived":[{"subject":"other %d"}]}`, n, n)
			return
		}
		io.WriteString(w, `{"cursor":"c3","message":{"subject":"here","codes":["1234"]}}`)
	}))
	defer server.Close()
	api := apiClient{server.URL, "secret"}
	end := api.wait(t.Context(), waiting{subject: "x", timeout: time.Hour})
	if end.err != nil || end.Message.Subject != "here" {
		t.Fatalf("%+v", end)
	}
	if got := strings.Join(calls, "|"); got != " 1m0s x Bearer secret|c1 1m0s x Bearer secret|c2 1m0s x Bearer secret" {
		t.Error(got)
	}
	calls = nil
	end = api.wait(t.Context(), waiting{timeout: time.Millisecond})
	if end.err == nil || len(end.Arrived) != 1 || len(calls) != 1 {
		t.Errorf("%+v after %d calls", end, len(calls))
	}
}

// What a mail says cannot move the cursor of the terminal it is shown on.
func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\x07\r\nc\td\u009be 郵便"); got != "a[2Jb\nc\tde 郵便" {
		t.Errorf("%q", got)
	}
}
