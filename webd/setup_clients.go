package webd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/yubin-mail/yubin/store"
)

// How mail programs find us: the forms that Thunderbird, Outlook and Apple's
// programs ask for, and a page for people.

// MailServer is one way for a mail program to connect.
type MailServer struct {
	Proto    string // "imap", "pop3", or "smtp" for sending
	Host     string
	Port     int
	Security string // "tls" from the first octet, "starttls", or "none"
}

// Program names a server's protocol for people.
func (m MailServer) Program() string {
	return map[string]string{"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}[m.Proto]
}

// clients are the servers of some protocols, the safe ones first; without
// encryption only where there is nothing else.
func (s *Server) clients(protos ...string) (all []MailServer) {
	for _, proto := range protos {
		for _, security := range []string{"tls", "starttls", "none"} {
			for _, m := range s.Operation.Clients {
				if m.Proto == proto && m.Security == security && (security != "none" || !hasProto(all, proto)) {
					all = append(all, m)
				}
			}
		}
	}
	return all
}

func hasProto(all []MailServer, proto string) bool {
	for _, m := range all {
		if m.Proto == proto {
			return true
		}
	}
	return false
}

// The XML of Thunderbird's config-v1.1.
type (
	clientConfig struct {
		XMLName  xml.Name      `xml:"clientConfig"`
		Version  string        `xml:"version,attr"`
		Provider emailProvider `xml:"emailProvider"`
	}
	emailProvider struct {
		ID          string         `xml:"id,attr"`
		Domains     []string       `xml:"domain"`
		DisplayName string         `xml:"displayName"`
		ShortName   string         `xml:"displayShortName"`
		Incoming    []configServer `xml:"incomingServer"`
		Outgoing    []configServer `xml:"outgoingServer"`
	}
	configServer struct {
		Type           string `xml:"type,attr"`
		Hostname       string `xml:"hostname"`
		Port           int    `xml:"port"`
		SocketType     string `xml:"socketType"`
		Username       string `xml:"username"`
		Authentication string `xml:"authentication"`
	}
)

var socketTypes = map[string]string{"tls": "SSL", "starttls": "STARTTLS", "none": "plain"}

// autoconfig answers Thunderbird and those who ask as it does. It says the
// same whatever address is asked for: nobody learns who exists.
func (s *Server) autoconfig(v *visit) error {
	domains, err := s.Store.Domains(v.Context())
	if err != nil {
		return err
	}
	servers := s.clients("imap", "pop3", "smtp")
	if len(servers) == 0 {
		return errNotFound
	}
	c := clientConfig{Version: "1.1", Provider: emailProvider{ID: s.Hostname, DisplayName: s.Hostname, ShortName: s.Hostname}}
	for _, d := range domains {
		c.Provider.Domains = append(c.Provider.Domains, d.Name)
	}
	for _, m := range servers {
		server := configServer{m.Proto, m.Host, m.Port, socketTypes[m.Security], "%EMAILADDRESS%", "password-cleartext"}
		if m.Proto == "smtp" {
			c.Provider.Outgoing = append(c.Provider.Outgoing, server)
		} else {
			c.Provider.Incoming = append(c.Provider.Incoming, server)
		}
	}
	return v.xml(c)
}

func (v *visit) xml(value any) error {
	b, err := xml.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	v.send("text/xml", append([]byte(xml.Header), append(b, '\n')...))
	return nil
}

// The XML of Outlook's autodiscover.
type (
	autodiscoverAnswer struct {
		XMLName  xml.Name             `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
		Response autodiscoverResponse `xml:"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a Response"`
	}
	autodiscoverResponse struct {
		Type      string                 `xml:"Account>AccountType"`
		Action    string                 `xml:"Account>Action"`
		Protocols []autodiscoverProtocol `xml:"Account>Protocol"`
	}
	autodiscoverProtocol struct {
		Type       string
		Server     string
		Port       int
		LoginName  string
		SPA        string
		SSL        string
		Encryption string
	}
)

// maxAutodiscover bounds what Outlook may ask.
const maxAutodiscover = 64 << 10

// autodiscover answers Outlook, which sends the address as XML.
func (s *Server) autodiscover(v *visit) error {
	var ask struct {
		Address string `xml:"Request>EMailAddress"`
	}
	if err := xml.NewDecoder(io.LimitReader(v.Body, maxAutodiscover)).Decode(&ask); err != nil {
		return errForm
	}
	address, err := store.CanonicalAddress(strings.TrimSpace(ask.Address))
	if err != nil {
		return err
	}
	servers := s.clients("imap", "pop3", "smtp")
	if len(servers) == 0 {
		return errNotFound
	}
	answer := autodiscoverAnswer{Response: autodiscoverResponse{Type: "email", Action: "settings"}}
	for _, m := range servers {
		p := autodiscoverProtocol{Type: strings.ToUpper(m.Proto), Server: m.Host, Port: m.Port, LoginName: address, SPA: "off", SSL: "off", Encryption: "None"}
		switch m.Security {
		case "tls":
			p.SSL, p.Encryption = "on", "SSL"
		case "starttls":
			p.SSL, p.Encryption = "on", "TLS"
		}
		answer.Response.Protocols = append(answer.Response.Protocols, p)
	}
	return v.xml(answer)
}

// appleProfile is a configuration profile for iPhone, iPad and Mac. It holds
// no password: the device asks for it.
func (s *Server) appleProfile(v *visit) error {
	in, out := s.clients("imap"), s.clients("smtp")
	if len(in) == 0 {
		in = s.clients("pop3")
	}
	if len(in) == 0 || len(out) == 0 {
		return errNotFound
	}
	kind := "EmailTypeIMAP"
	if in[0].Proto == "pop3" {
		kind = "EmailTypePOP"
	}
	account := plist{
		{"EmailAccountDescription", v.user.Address},
		{"EmailAccountName", v.user.Name},
		{"EmailAccountType", kind},
		{"EmailAddress", v.user.Address},
		{"IncomingMailServerAuthentication", "EmailAuthPassword"},
		{"IncomingMailServerHostName", in[0].Host},
		{"IncomingMailServerPortNumber", in[0].Port},
		{"IncomingMailServerUseSSL", in[0].Security != "none"},
		{"IncomingMailServerUsername", v.user.Address},
		{"OutgoingMailServerAuthentication", "EmailAuthPassword"},
		{"OutgoingMailServerHostName", out[0].Host},
		{"OutgoingMailServerPortNumber", out[0].Port},
		{"OutgoingMailServerUseSSL", out[0].Security != "none"},
		{"OutgoingMailServerUsername", v.user.Address},
		{"OutgoingPasswordSameAsIncomingPassword", true},
		{"PayloadDisplayName", v.user.Address},
		{"PayloadIdentifier", "yubin.mail." + s.Hostname + "." + v.user.Address},
		{"PayloadType", "com.apple.mail.managed"},
		{"PayloadUUID", stableUUID("account", s.Hostname, v.user.Address)},
		{"PayloadVersion", 1},
	}
	profile := plist{
		{"PayloadContent", []plist{account}},
		{"PayloadDisplayName", v.user.Address},
		{"PayloadIdentifier", "yubin." + s.Hostname + "." + v.user.Address},
		{"PayloadOrganization", s.Hostname},
		{"PayloadType", "Configuration"},
		{"PayloadUUID", stableUUID("profile", s.Hostname, v.user.Address)},
		{"PayloadVersion", 1},
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" + `<plist version="1.0">` + "\n")
	profile.write(&b)
	b.WriteString("</plist>\n")
	v.w.Header().Set("Content-Disposition", `attachment; filename="yubin.mobileconfig"`)
	v.send("application/x-apple-aspen-config", b.Bytes())
	return nil
}

// plist is a dictionary of Apple's property lists, in order.
type plist []struct {
	key   string
	value any
}

func (p plist) write(b *bytes.Buffer) {
	b.WriteString("<dict>\n")
	for _, e := range p {
		b.WriteString("<key>" + e.key + "</key>")
		switch value := e.value.(type) {
		case bool:
			b.WriteString("<" + strconv.FormatBool(value) + "/>")
		case int:
			b.WriteString("<integer>" + strconv.Itoa(value) + "</integer>")
		case string:
			b.WriteString("<string>")
			_ = xml.EscapeText(b, []byte(value)) // a buffer takes everything
			b.WriteString("</string>")
		case []plist:
			b.WriteString("<array>\n")
			for _, inner := range value {
				inner.write(b)
			}
			b.WriteString("</array>")
		}
		b.WriteByte('\n')
	}
	b.WriteString("</dict>\n")
}

// stableUUID is the same for the same account, so that a profile that is
// loaded again replaces the old one. RFC 9562 §5.8.
func stableUUID(parts ...string) string {
	h := sha256.Sum256([]byte("yubin\x00" + strings.Join(parts, "\x00")))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	x := hex.EncodeToString(h[:16])
	return strings.ToUpper(fmt.Sprintf("%s-%s-%s-%s-%s", x[:8], x[8:12], x[12:16], x[16:20], x[20:]))
}

// clientsPage tells people what to type into their mail program.
type clientsPage struct {
	Cards   []clientCard
	Name    string // the user name; that of the visitor, or an example
	Servers bool
}

// clientCard is what one mail program has to be told.
type clientCard struct {
	Key      string // its words in the catalogue are client.KEY and how.KEY
	In, Out  MailServer
	Download bool
}

func (s *Server) showClients(v *visit) error {
	in, pop, out := s.clients("imap"), s.clients("pop3"), s.clients("smtp")
	p := clientsPage{Name: v.user.Address, Servers: len(in)+len(pop) > 0 && len(out) > 0}
	if p.Name == "" {
		p.Name = "alice@" + s.Hostname
		if domains, err := s.Store.Domains(v.Context()); err == nil && len(domains) > 0 {
			p.Name = "alice@" + domains[0].Name
		}
	}
	if p.Servers {
		if len(in) == 0 {
			in = pop
		}
		for _, key := range []string{"thunderbird", "apple", "outlook", "android"} {
			p.Cards = append(p.Cards, clientCard{key, in[0], out[0], key == "apple" && v.session != nil})
		}
		if len(pop) > 0 && in[0].Proto == "imap" {
			p.Cards = append(p.Cards, clientCard{"pop3", pop[0], out[0], false})
		}
	}
	if !p.Servers {
		v.status = http.StatusNotFound
	}
	return v.render("clients", v.T("title.clients"), p)
}
