// Package lab compares ways of reading mail by measuring them: small real
// clients, each with a local store of its own, talk to a running mail system
// over real sockets, and what they said and heard decides every result.
//
// It is no server and knows none: a [Server] is a handful of addresses and a
// way to get accounts. It does not judge by the book either. A scenario says
// which result its lesson expects; when the measurement says otherwise, the
// report shows the measurement, marks it and [Report.Err] returns
// [ErrContradicted].
//
// Start with scenario.go (what a scenario is) and a scenario such as
// scenario_read.go; then device.go, pop3.go and imap.go (the clients),
// record.go (what is kept of a conversation) and fact.go (how it becomes a
// result). [Run] in run.go plays them; story.go and report.go print. For pages,
// player.go and board.go show a run as it goes on.
//
// A command line needs little more than
//
//	report, err := lab.Run(ctx, server, lab.Options{Lang: lab.Japanese}, os.Stdout)
//	if err == nil {
//		err = errors.Join(lab.Save("report.md", report), report.Err())
//	}
//
// # Notes
//
//   - A device shows what is in its local store, never what the scenario
//     wishes. A fact is computed from that store and from recorded events, and
//     names the lines of the conversations that prove it.
//   - Conversations are recorded on the client's side of the socket, with
//     secrets masked, by package wiretap.
//   - Lanes are the ways of reading: one column of the table each. A lane
//     has a mailbox of its own, so that one way never disturbs another. Where
//     accounts are few (Server.Shared) the lanes take turns.
//   - What a run delivers it removes again, by IMAP. A device deletes no mail
//     that is not of the lab.
//   - A browser ([WebDevice]) asks for the pages that people see, and keeps of
//     them what their Cache-Control lets it. What it says is recorded by
//     weblog.go, because the tap knows mail protocols only.
//   - A [Player] plays one scenario step by step for a page that shows its
//     [Board]; free play and the [Console] are for people who want to do it
//     themselves.
package lab
