package pop3d

// quit enters the UPDATE state and answers once the removal is durable
// (RFC 1939 §6). The maildrop is free before the client hears of it, so that
// it can come back at once.
func (s *session) quit([]string) reply {
	if s.drop == nil {
		return ok(goodbye).hangingUp()
	}
	deleted := s.drop.marked()
	if err := s.drop.Update(s.ctx, deleted); err != nil {
		s.log.Error("failed", "verb", s.verb, "err", err)
		return fail(codeTemp, notRemoved).hangingUp()
	}
	s.drop.Close()
	if len(deleted) > 0 {
		s.log.Info("expunged", "user", s.drop.User.Address, "messages", len(deleted))
	}
	return ok(goodbye).hangingUp()
}
