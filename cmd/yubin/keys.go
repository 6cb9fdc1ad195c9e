package main

import (
	"time"
)

// settings are the values of all keys: what the rest of the program reads.
type settings struct {
	DataDir     string
	Hostname    string
	Domains     []string
	Users       []string
	Lang        string
	Demo        bool
	DemoExposed bool

	SMTPAddr        string
	SubmissionAddr  string
	SubmissionsAddr string
	POP3Addr        string
	POP3SAddr       string
	IMAPAddr        string
	IMAPSAddr       string
	HTTPAddr        string
	HTTPSAddr       string
	AdminAddr       string

	AllowPlaintext bool
	TLSCert        string
	TLSKey         string
	TLSNames       []string

	POP3LoginDelay time.Duration
	WebUndoSend    time.Duration

	DNSResolver string

	Check          bool
	CheckSPF       string
	CheckDKIM      string
	CheckDMARC     string
	CheckIPRev     string
	CheckNullMX    string
	CheckDomains   []string
	TrustedSealers []string
	TrustedNets    []string
	Blocklists     []string
	Greylist       bool
	GreylistDelay  time.Duration
	Sign           bool
	MakeKeys       bool

	RelayEnabled              bool
	RelaySmarthosts           []string
	RelayUser                 string
	RelayPassword             string
	RelayRoutes               []string
	RelayTLS                  string
	RelaySchedule             []string
	RelayWarnAfter            time.Duration
	RelayMaxAge               time.Duration
	RelayConnections          int
	RelayConnectionsPerDomain int
	RelayAllowPrivate         bool
	RelayAuthorities          []string

	MTASTSMode    string
	MTASTSMaxAge  time.Duration
	MTASTSServers []string

	Connections           int
	ConnectionsPerAddress int
	ConnectionRate        int
	LoginFailures         int
	UnknownRecipients     int
	MessageSize           size
	SpoolMemory           size
	Recipients            int
	SendPerUserHour       int
	SendPerUserDay        int
	SendPerDomainHour     int
	SendPerDomainDay      int

	BackupKeep int

	WiretapEnabled  bool
	WiretapSessions int
	WiretapBytes    size

	LogFormat string
	LogLevel  string
}

// actions are what may become of a mail.
var actions = []string{"accept", "junk", "refuse"}

// A key is one thing that can be configured. Its name decides, by one
// mechanical rule, how each source spells it: imap.addr in the file is
// --imap-addr on the command line and YUBIN_IMAP_ADDR in the environment.
type key struct {
	name  string
	into  any    // where its value goes; the pointer's type is the key's type
	value string // default
	demo  string // default in demo mode, where it differs
	doc   string
	// A secret has no flag, because command lines can be read by others;
	// it has a second key instead, NAME_file, that names a file.
	secret bool
	since  string
	only   []string // the values it may have; nil is any
}

// keys is the registry: flags, environment, file, `config print` and the
// table in the documentation all come from here.
func (s *settings) keys() []key {
	return []key{
		{name: "data_dir", into: &s.DataDir, value: defaultDataDir(), since: "0.1",
			doc: "Folder that holds all mail, the certificates and the run file."},
		{name: "hostname", into: &s.Hostname, value: defaultHostname(), demo: "mail.yubin.test", since: "0.1",
			doc: "Name the server greets with and has a certificate for."},
		{name: "domains", into: &s.Domains, demo: "yubin.test", since: "0.1",
			doc: "Domains to receive mail for, added at start to those in the store."},
		{name: "users", into: &s.Users, secret: true, since: "0.1",
			doc: "Users to make at start when they do not exist, as address:password."},
		{name: "lang", into: &s.Lang, since: "0.1", only: []string{"", "en", "ja"},
			doc: "Language of messages and help: en or ja; empty follows LANG."},
		{name: "demo", into: &s.Demo, value: "false", since: "0.1",
			doc: "Demonstration: accounts alice and bob with known passwords, generous limits, loopback only."},
		{name: "demo_exposed", into: &s.DemoExposed, value: "false", since: "0.1",
			doc: "Let the demonstration listen beyond loopback; safe only where something else keeps strangers out."},

		{name: "smtp.addr", into: &s.SMTPAddr, value: ":1025", since: "0.1",
			doc: "Listener for mail from other servers; empty switches it off."},
		{name: "submission.addr", into: &s.SubmissionAddr, value: ":1587", since: "0.1",
			doc: "Listener for mail from users, with STARTTLS; empty switches it off."},
		{name: "submissions.addr", into: &s.SubmissionsAddr, value: ":1465", since: "0.1",
			doc: "Listener for mail from users over TLS; empty switches it off."},
		{name: "pop3.addr", into: &s.POP3Addr, value: ":1110", since: "0.1",
			doc: "Listener for POP3 with STLS; empty switches it off."},
		{name: "pop3s.addr", into: &s.POP3SAddr, value: ":1995", since: "0.1",
			doc: "Listener for POP3 over TLS; empty switches it off."},
		{name: "imap.addr", into: &s.IMAPAddr, value: ":1143", since: "0.1",
			doc: "Listener for IMAP with STARTTLS; empty switches it off."},
		{name: "imaps.addr", into: &s.IMAPSAddr, value: ":1993", since: "0.1",
			doc: "Listener for IMAP over TLS; empty switches it off."},
		{name: "http.addr", into: &s.HTTPAddr, value: "127.0.0.1:8025", since: "0.1",
			doc: "Listener for browsers without TLS; beyond loopback it needs auth.allow_plaintext; empty switches it off."},
		{name: "https.addr", into: &s.HTTPSAddr, since: "0.1",
			doc: "Listener for browsers over TLS, such as :8443; empty switches it off."},
		{name: "admin.addr", into: &s.AdminAddr, value: "127.0.0.1:8026", since: "0.1",
			doc: "Listener for /metrics, /healthz and /readyz; without login, so keep it private; empty switches it off."},

		{name: "auth.allow_plaintext", into: &s.AllowPlaintext, value: "false", demo: "true", since: "0.1",
			doc: "Allow passwords without TLS on every listener, not only on those bound to loopback."},
		{name: "tls.cert", into: &s.TLSCert, since: "0.1",
			doc: "PEM file with your own certificate chain, read again when it changes; empty uses the local authority."},
		{name: "tls.key", into: &s.TLSKey, since: "0.1",
			doc: "PEM file with the key of tls.cert."},
		{name: "tls.names", into: &s.TLSNames, since: "0.1",
			doc: "Further names and addresses for the certificate of the local authority."},

		{name: "pop3.login_delay", into: &s.POP3LoginDelay, value: "0s", since: "0.1",
			doc: "Least time between two POP3 logins of one user; 0s is no limit."},

		{name: "dns.resolver", into: &s.DNSResolver, since: "0.1",
			doc: "DNS resolver to ask, whose word for DNSSEC counts, as 127.0.0.1 or 192.0.2.1:5353; empty uses the system's."},

		{name: "auth.check", into: &s.Check, value: "true", demo: "false", since: "0.1",
			doc: "Check SPF, DKIM, DMARC and ARC of mail from other servers, and write the results into it."},
		{name: "auth.spf", into: &s.CheckSPF, value: "accept", since: "0.1", only: actions,
			doc: "What to do when the sender's domain does not let the client send its mail: accept, junk or refuse."},
		{name: "auth.dkim", into: &s.CheckDKIM, value: "accept", since: "0.1", only: actions,
			doc: "What to do with mail that has no valid signature: accept, junk or refuse."},
		{name: "auth.dmarc", into: &s.CheckDMARC, value: "follow-junk", since: "0.1", only: append(actions[:len(actions):len(actions)], "follow-junk", "follow"),
			doc: "What to do when the domain in From does not stand behind a mail: accept, junk, refuse, follow what that domain asks for, or follow-junk: the same, but without refusing."},
		{name: "auth.iprev", into: &s.CheckIPRev, value: "accept", since: "0.1", only: actions,
			doc: "What to do when the client's address has no name that leads back to it: accept, junk or refuse."},
		{name: "auth.null_mx", into: &s.CheckNullMX, value: "accept", since: "0.1", only: actions,
			doc: "What to do when the sender's domain says that it takes no mail: accept, junk or refuse."},
		{name: "auth.domains", into: &s.CheckDomains, since: "0.1",
			doc: "Other actions for single domains of ours, as example.test=spf:refuse/dmarc:junk."},
		{name: "auth.trusted_sealers", into: &s.TrustedSealers, since: "0.1",
			doc: "Domains of mailing lists and forwarders that are believed when their ARC seal says that DMARC had passed."},
		{name: "auth.trusted_networks", into: &s.TrustedNets, value: "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10", since: "0.1",
			doc: "Networks whose clients are neither checked nor asked to come again, as 192.0.2.0/24; by default this machine and private ones."},
		{name: "auth.blocklists", into: &s.Blocklists, since: "0.1",
			doc: "DNS block lists whose clients are refused, as dnsbl.example.org."},
		{name: "auth.greylist", into: &s.Greylist, value: "false", demo: "false", since: "0.1",
			doc: "Ask clients that nobody has seen before to come again later."},
		{name: "auth.greylist_delay", into: &s.GreylistDelay, value: "5m", since: "0.1",
			doc: "How long such a client has to wait."},
		{name: "auth.sign", into: &s.Sign, value: "true", since: "0.1",
			doc: "Sign mail of users whose domain has DKIM keys; see 'yubin dkim'."},
		{name: "auth.make_keys", into: &s.MakeKeys, value: "false", since: "0.1",
			doc: "Make DKIM keys at start for those of 'domains' that have none; 'yubin dkim show' prints their records."},

		{name: "relay.enabled", into: &s.RelayEnabled, value: "false", since: "0.1",
			doc: "Bring mail of our users to other servers; off, only mail for our own domains is taken."},
		{name: "relay.smarthosts", into: &s.RelaySmarthosts, since: "0.1",
			doc: "Servers that take all outgoing mail, as smtp://host:587 or smtps://host; empty asks DNS."},
		{name: "relay.user", into: &s.RelayUser, since: "0.1",
			doc: "User name for relay.smarthosts; they must then show a valid certificate."},
		{name: "relay.password", into: &s.RelayPassword, secret: true, since: "0.1",
			doc: "Password for relay.smarthosts."},
		{name: "relay.routes", into: &s.RelayRoutes, since: "0.1",
			doc: "Servers for single domains, as example.test=smtp://10.0.0.5:25; *.example.test is all below it, direct asks DNS."},
		{name: "relay.tls", into: &s.RelayTLS, value: "opportunistic", since: "0.1", only: []string{"opportunistic", "encrypted", "verified", "none"},
			doc: "Least protection of outgoing mail: opportunistic, encrypted, verified or none."},
		{name: "relay.schedule", into: &s.RelaySchedule, value: "5m,10m,20m,40m,80m,160m,4h", since: "0.1",
			doc: "Waits between attempts to deliver; the last one repeats."},
		{name: "relay.warn_after", into: &s.RelayWarnAfter, value: "4h", since: "0.1",
			doc: "Age of a waiting mail at which its sender is told."},
		{name: "relay.max_age", into: &s.RelayMaxAge, value: "120h", since: "0.1",
			doc: "Age of a waiting mail at which it is returned to its sender."},
		{name: "relay.connections", into: &s.RelayConnections, value: "200", since: "0.1",
			doc: "Outgoing connections open at once."},
		{name: "relay.connections_per_domain", into: &s.RelayConnectionsPerDomain, value: "5", since: "0.1",
			doc: "Outgoing connections open at once to one destination."},
		{name: "relay.allow_private", into: &s.RelayAllowPrivate, value: "false", since: "0.1",
			doc: "Deliver to mail servers that DNS finds at private addresses."},
		{name: "relay.authorities", into: &s.RelayAuthorities, since: "0.1",
			doc: "PEM files of certificate authorities that other servers may have their certificates from, besides the system's."},

		{name: "mta_sts.mode", into: &s.MTASTSMode, since: "0.1", only: []string{"", "none", "testing", "enforce"},
			doc: "Policy for those who bring mail to our domains, served as mta-sts.DOMAIN on https.addr: none, testing or enforce; empty has none. See 'yubin mta-sts'."},
		{name: "mta_sts.max_age", into: &s.MTASTSMaxAge, value: "168h", since: "0.1",
			doc: "How long others keep to that policy after they have read it."},
		{name: "mta_sts.mx", into: &s.MTASTSServers, since: "0.1",
			doc: "Mail servers that the policy names, as mail.example.org or *.example.org; empty is hostname."},

		{name: "web.undo_send", into: &s.WebUndoSend, value: "5s", since: "0.1",
			doc: "How long the webmail holds a sent mail back, so that it can be undone; 0s is not at all."},

		{name: "limits.connections", into: &s.Connections, value: "1000", demo: "2000", since: "0.1",
			doc: "Connections open at once on one listener; 0 is no limit."},
		{name: "limits.connections_per_address", into: &s.ConnectionsPerAddress, value: "50", demo: "1000", since: "0.1",
			doc: "Connections open at once on one listener from one address; 0 is no limit."},
		{name: "limits.connection_rate", into: &s.ConnectionRate, value: "300", demo: "0", since: "0.1",
			doc: "New connections to one listener from one address within a minute; 0 is no limit."},
		{name: "limits.login_failures", into: &s.LoginFailures, value: "100", demo: "1000", since: "0.1",
			doc: "Logins that may fail from one address within 15 minutes; 0 is no limit."},
		{name: "limits.unknown_recipients", into: &s.UnknownRecipients, value: "200", demo: "10000", since: "0.1",
			doc: "Unknown recipients that one address may name within 15 minutes; 0 is no limit."},
		{name: "limits.message_size", into: &s.MessageSize, value: "50MB", since: "0.1",
			doc: "Largest message that is accepted."},
		{name: "limits.spool_memory", into: &s.SpoolMemory, value: "64MB", since: "0.1",
			doc: "Memory that all messages may take together while they arrive; what is beyond goes to files."},
		{name: "limits.recipients", into: &s.Recipients, value: "1000", since: "0.1",
			doc: "Most recipients of one message."},
		{name: "limits.send_per_user_hour", into: &s.SendPerUserHour, value: "500", since: "0.1",
			doc: "Recipients in other domains that one user may write to within an hour; 0 is no limit."},
		{name: "limits.send_per_user_day", into: &s.SendPerUserDay, value: "2000", since: "0.1",
			doc: "Recipients in other domains that one user may write to within a day; 0 is no limit."},
		{name: "limits.send_per_domain_hour", into: &s.SendPerDomainHour, value: "0", since: "0.1",
			doc: "Recipients in other domains that all users of one of our domains may write to within an hour; 0 is no limit."},
		{name: "limits.send_per_domain_day", into: &s.SendPerDomainDay, value: "0", since: "0.1",
			doc: "Recipients in other domains that all users of one of our domains may write to within a day; 0 is no limit."},

		{name: "backup.keep", into: &s.BackupKeep, value: "7", since: "0.1",
			doc: "Copies that stay in the folder backup, the newest; 0 keeps all."},
		{name: "wiretap.enabled", into: &s.WiretapEnabled, value: "false", demo: "true", since: "0.1",
			doc: "Record conversations for 'yubin tail'; outside demo mode only of users who agreed."},
		{name: "wiretap.sessions", into: &s.WiretapSessions, value: "200", since: "0.1",
			doc: "Conversations the wiretap keeps in memory."},
		{name: "wiretap.bytes", into: &s.WiretapBytes, value: "16MB", since: "0.1",
			doc: "Memory the wiretap may use."},

		{name: "log.format", into: &s.LogFormat, value: "auto", since: "0.1", only: []string{"auto", "text", "json"},
			doc: "text, json, or auto: text on a terminal, json elsewhere."},
		{name: "log.level", into: &s.LogLevel, value: "info", since: "0.1", only: []string{"debug", "info", "warn", "error"},
			doc: "Least important events to log: debug, info, warn or error."},
	}
}
