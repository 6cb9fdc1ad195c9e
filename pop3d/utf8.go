package pop3d

// utf8 enters UTF-8 mode (RFC 6856 §2.1). It changes only what we then
// refuse, STLS: messages are sent as they are in either mode.
func (s *session) utf8([]string) reply {
	s.utf8Mode = true
	return ok(utf8Enabled)
}
