package leak

import (
	"strings"
	"testing"
)

func TestWhatIsLeftIsFound(t *testing.T) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		<-stop
	}()
	if err := find(0); err == nil || !strings.Contains(err.Error(), "TestWhatIsLeftIsFound") {
		t.Errorf("found %v", err)
	}
	close(stop)
	Check(t)
	<-ended
}
