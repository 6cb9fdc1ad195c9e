package store

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Preparing a statement needs a connection. Those who hold one for a view
// must not all wait for another at the same time.
func TestViewsNeverWaitForEachOthersConnections(t *testing.T) {
	s := openFault(t)
	entered, gate := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	for i := range readerCount {
		go func() {
			done <- s.readers.view(context.Background(), func(db querier) error {
				entered <- struct{}{}
				<-gate
				var n int
				return db.row(context.Background(), fmt.Sprintf(`SELECT %d`, i)).Scan(&n) // new to every connection
			})
		}()
	}
	for range readerCount - 1 {
		<-entered
	}
	go func() { <-entered }() // the last may have to wait until another has left
	close(gate)
	for range readerCount {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("they wait for each other")
		}
	}
}
