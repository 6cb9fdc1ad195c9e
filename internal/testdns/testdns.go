// Package testdns is a tiny DNS server: a [Zone] of records that
// can change while it is served, with the ways in which real DNS fails.
//
// It is for tests, the lab and demonstrations with several mail servers. It is
// no resolver and asks nobody else; it claims that answers are authenticated
// where it is told to, without any signature.
//
// Start with [Start].
package testdns

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Zone is what a Server knows. The zero value knows nothing: every name is
// NXDOMAIN. It may be changed at any time, from any goroutine.
type Zone struct {
	mu        sync.Mutex
	records   map[string][]dns.RR // by name, lower case with the final dot
	fault     map[string]Fault
	authentic map[string]bool
	asked     map[string]int
}

// Fault is a way for a name not to be answered.
type Fault int

const (
	// Healthy names are answered.
	Healthy Fault = iota
	// Servfail is what a resolver says of a broken or forged zone.
	Servfail
	// Silent names get no answer at all.
	Silent
)

// New is a zone with records, each in the form of a zone file:
//
//	alpha.test. MX 10 mail.alpha.test.
//	mail.alpha.test. A 127.0.0.2
func New(records ...string) (*Zone, error) {
	z := new(Zone)
	return z, z.Add(records...)
}

// Add adds records to those that are there, all or none.
func (z *Zone) Add(records ...string) error {
	var parsed []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR("$TTL 60\n" + text + "\n")
		if err != nil {
			return fmt.Errorf("record %q: %w", text, err)
		}
		if rr == nil {
			return fmt.Errorf("record %q is empty", text)
		}
		parsed = append(parsed, rr)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.records == nil {
		z.records = make(map[string][]dns.RR)
	}
	for _, rr := range parsed {
		name := canonical(rr.Header().Name)
		z.records[name] = append(z.records[name], rr)
	}
	return nil
}

// Load replaces all records with those of a zone file (RFC 1035 §5.1), all or
// none. It includes no other files.
func (z *Zone) Load(file string) error {
	records := make(map[string][]dns.RR)
	p := dns.NewZoneParser(strings.NewReader(file), ".", "")
	p.SetDefaultTTL(60)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := canonical(rr.Header().Name)
		records[name] = append(records[name], rr)
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("read a zone: %w", err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = records
	return nil
}

// Remove forgets a name's records of one type ("MX"), or of all types when
// it is "".
func (z *Zone) Remove(name, kind string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name = canonical(name)
	left := slices.DeleteFunc(z.records[name], func(rr dns.RR) bool {
		return kind == "" || rr.Header().Rrtype == dns.StringToType[kind]
	})
	if z.records[name] = left; len(left) == 0 {
		delete(z.records, name)
	}
}

// Set replaces a name's records of the types that records have.
func (z *Zone) Set(name string, records ...string) error {
	set, err := New(records...)
	if err != nil {
		return err
	}
	for _, rr := range set.records[canonical(name)] {
		z.Remove(name, dns.TypeToString[rr.Header().Rrtype])
	}
	return z.Add(records...)
}

// Fail makes a name fail, or heals it.
func (z *Zone) Fail(name string, f Fault) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.fault == nil {
		z.fault = make(map[string]Fault)
	}
	z.fault[canonical(name)] = f
}

// Authenticate makes the answers about names claim to be authenticated
// (RFC 4035 §3.2.3).
func (z *Zone) Authenticate(names ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.authentic == nil {
		z.authentic = make(map[string]bool)
	}
	for _, n := range names {
		z.authentic[canonical(n)] = true
	}
}

// Asked is how often a name has been asked for, with any type.
func (z *Zone) Asked(name string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[canonical(name)]
}

// canonical is a name in one spelling: a zone file may write an octet as a
// number, where a question has it as itself.
func canonical(name string) string {
	name = dns.Fqdn(name)
	wire := make([]byte, 256)
	if _, err := dns.PackDomainName(name, wire, 0, nil, false); err == nil {
		name, _, _ = dns.UnpackDomainName(wire, 0)
	}
	return strings.ToLower(name)
}

// maxAliases bounds a chain of CNAME records, which may be a ring.
const maxAliases = 8

// answer is the reply to a question, or nil for silence.
func (z *Zone) answer(q *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(q)
	if len(q.Question) != 1 {
		return reply.SetRcode(q, dns.RcodeFormatError)
	}
	name, kind := canonical(q.Question[0].Name), q.Question[0].Qtype
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.asked == nil {
		z.asked = make(map[string]int)
	}
	z.asked[name]++
	switch z.fault[name] {
	case Servfail:
		return reply.SetRcode(q, dns.RcodeServerFailure)
	case Silent:
		return nil
	}
	reply.Authoritative, reply.RecursionAvailable = true, true
	reply.AuthenticatedData = true
	for range maxAliases {
		reply.AuthenticatedData = reply.AuthenticatedData && z.authentic[name]
		alias := ""
		for _, rr := range z.records[name] {
			switch c, isAlias := rr.(*dns.CNAME); {
			case rr.Header().Rrtype == kind:
				reply.Answer = append(reply.Answer, rr)
			case isAlias:
				reply.Answer = append(reply.Answer, rr)
				alias = canonical(c.Target)
			}
		}
		if alias == "" {
			break
		}
		name = alias
	}
	if len(reply.Answer) == 0 && !z.exists(name) {
		reply.Rcode = dns.RcodeNameError
	}
	return reply
}

// exists reports whether a name, or one below it, has records (RFC 8020).
func (z *Zone) exists(name string) bool {
	for n := range z.records {
		if n == name || strings.HasSuffix(n, "."+name) {
			return true
		}
	}
	return false
}

// Server answers questions about one zone, over UDP and TCP.
type Server struct {
	Addr     string // host:port of both
	udp, tcp *dns.Server
	running  sync.WaitGroup
}

// Start serves z on a free port of loopback until Close.
func Start(z *Zone) (*Server, error) {
	var failed error
	for range 10 { // the port must be free in both protocols
		s, err := Listen("127.0.0.1:0", z)
		if err == nil {
			return s, nil
		}
		failed = err
	}
	return nil, fmt.Errorf("find a port for DNS: %w", failed)
}

// Listen serves z at an address until Close.
func Listen(addr string, z *Zone) (*Server, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		tcp.Close()
		return nil, err
	}
	s := &Server{Addr: tcp.Addr().String(), udp: &dns.Server{PacketConn: udp}, tcp: &dns.Server{Listener: tcp}}
	for _, d := range []*dns.Server{s.udp, s.tcp} {
		d.Handler = dns.HandlerFunc(z.serve)
		ready := make(chan struct{})
		d.NotifyStartedFunc = func() { close(ready) }
		s.running.Go(func() { _ = d.ActivateAndServe() })
		<-ready
	}
	return s, nil
}

func (z *Zone) serve(w dns.ResponseWriter, q *dns.Msg) {
	reply := z.answer(q)
	if reply == nil {
		return
	}
	if w.RemoteAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
			reply.SetEdns0(o.UDPSize(), false)
		}
		reply.Truncate(size)
	}
	_ = w.WriteMsg(reply) // whoever asked has gone
}

// Close ends the server.
func (s *Server) Close() error {
	err := errors.Join(s.udp.Shutdown(), s.tcp.Shutdown())
	s.running.Wait()
	return err
}
