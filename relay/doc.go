// Package relay brings mail to other servers: it takes what the store has
// queued, finds the server for each domain, hands the mail over, and records
// the outcome together with the notice that the sender may have to get.
//
// It is not a server, and it decides nothing about who may send: what is in
// the queue has been accepted, and signed where it is to be.
//
// The promise is at-least-once. A mail leaves the queue in the transaction
// that records that another server has taken it (or that nobody will), with
// the notices that follow. When this process dies, or the last reply is lost,
// between that server's 250 and our commit, the mail is sent again: a
// duplicate is possible, a loss is not (RFC 5321 §6.1). A crash can double at
// most the few mails of each connection whose outcome was on its way to disk.
//
// What lies where:
//
//   - relay.go leases what is due and gives it to destinations
//   - destination.go has the connections to one destination and their mail
//   - attempt.go tries one mail at one server after another
//   - route.go finds the servers; sts.go and dane.go say how much their
//     identity must be proven
//   - dial.go brings a connection up to the point where mail can be sent
//   - client.go is one connection, transaction.go one mail on it
//   - mail.go, convert.go make ready what is sent
//   - settle.go decides when to try again and what the sender is told,
//     notices.go to whom, dsn.go writes it
//
// Start reading at [Relay.Run].
package relay
