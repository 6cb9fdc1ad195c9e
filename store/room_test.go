package store

import (
	"errors"
	"strings"
	"testing"
)

// Mail stops before the disk is full, so that mail can still be removed; what
// is removed makes room, and so does a larger disk.
func TestRoomIsKeptForRemoving(t *testing.T) {
	ctx := t.Context()
	s := openFault(t)
	var left int64 = 1 << 40
	s.free = func(string) (int64, error) { return left, nil }
	u, err := s.CreateUser(ctx, NewUser{Address: "ada@example.test", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.Mailbox(ctx, u.ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	large := Bytes("Subject: large\r\n\r\n" + strings.Repeat("a line of a large message\r\n", 200_000))
	small := Bytes("Subject: small\r\n\r\n")
	accept := func(b Bytes) ([]UID, error) {
		acc, err := s.Accept(ctx, Delivery{Body: b, Recipients: []Recipient{{User: u.ID}}})
		if err != nil {
			return nil, err
		}
		return []UID{acc.Delivered[0].UID}, nil
	}
	there, err := accept(large)
	if err != nil {
		t.Fatal(err)
	}

	left = reserve + large.Size()
	if _, err := accept(large); !errors.Is(err, ErrFull) {
		t.Errorf("accept: %v", err)
	}
	if _, _, err := s.Append(ctx, in.ID, []Appended{{Body: large}}); !errors.Is(err, ErrFull) {
		t.Errorf("append: %v", err)
	}
	if _, err := accept(small); err != nil {
		t.Errorf("a small one has room: %v", err)
	}
	left = reserve - 1
	if _, err := accept(small); !errors.Is(err, ErrFull) {
		t.Errorf("accept: %v", err)
	}
	if _, _, err := s.Copy(ctx, in.ID, there, in.ID); !errors.Is(err, ErrFull) {
		t.Errorf("copy: %v", err)
	}
	if gone, err := s.Remove(ctx, in.ID, there); err != nil || len(gone) != 1 {
		t.Fatalf("remove: %v, %v", gone, err)
	}
	ids := s.pins.take(64) // what a server does a moment later
	if err := s.write(ctx, func(t *tx) error { return t.collect(ids) }); err != nil {
		t.Fatal(err)
	}
	s.pins.settle(ids)
	if _, err := accept(small); err != nil {
		t.Errorf("what was removed makes no room: %v", err)
	}
	if _, err := accept(large); !errors.Is(err, ErrFull) {
		t.Errorf("more than was removed: %v", err)
	}
	left = 0
	if _, err := accept(small); !errors.Is(err, ErrFull) {
		t.Errorf("the reserve itself is gone: %v", err)
	}
	left = 1 << 40
	if _, err := accept(large); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
