package webd

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/yubin-mail/yubin/store"
)

func idText[T ~int64](id T) string { return strconv.FormatInt(int64(id), 10) }

// The first administrator is made with the link that was printed, once.
func TestSetup(t *testing.T) {
	o := newOfficeTest(t, nil)
	if link, err := o.s.SetupLink(t.Context()); link != "" || err != nil {
		t.Errorf("with an administrator: %q, %v", link, err)
	}
	if err := o.s.Store.DeleteUser(t.Context(), o.ada.ID); err != nil {
		t.Fatal(err)
	}
	link, err := o.s.SetupLink(t.Context())
	if err != nil || !strings.HasPrefix(link, "/setup?token=") {
		t.Fatalf("%q, %v", link, err)
	}
	stranger := visitor{officeTest: o}
	for _, path := range []string{"/setup", "/setup?token=", "/setup?token=x", link + "x"} {
		if status, _ := stranger.get(path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, page := stranger.get(link); status != 200 || !strings.Contains(page, `name="setup"`) {
		t.Errorf("%d\n%s", status, page)
	}
	secret := strings.TrimPrefix(link, "/setup?token=")
	form := func(setup, address, password, again string) (int, string) {
		return stranger.post("/setup", "setup", setup, "address", address, "password", password, "again", again)
	}
	for _, wrong := range []struct {
		setup, address, password, again string
		want                            int
	}{
		{"", "root@example.test", "sesame", "sesame", 404},
		{"x", "root@example.test", "sesame", "sesame", 404},
		{secret, "root", "sesame", "sesame", 422},
		{secret, "bob@example.test", "sesame", "sesame", 409},
		{secret, "root@example.test", "sesame", "other", 422},
		{secret, "root@example.test", "", "", 422},
	} {
		if status, page := form(wrong.setup, wrong.address, wrong.password, wrong.again); status != wrong.want || strings.Contains(page, "sesame") {
			t.Errorf("%+v: %d", wrong, status)
		}
	}
	if answer := o.do("POST", link, "", "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 {
		t.Errorf("from another site: %d", answer.StatusCode)
	}
	answer := o.do("POST", "/setup", "setup="+secret+"&address=root@example.test&password=sesame&again=sesame", "Content-Type", "application/x-www-form-urlencoded")
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/admin" || len(answer.Cookies()) == 0 {
		t.Fatalf("%d %v", answer.StatusCode, answer.Header)
	}
	if status, _ := (visitor{officeTest: o, cookie: "yubin=" + answer.Cookies()[0].Value}).get("/admin"); status != 200 {
		t.Errorf("not logged in: %d", status)
	}
	if u, err := o.s.Store.Authenticate(t.Context(), "root@example.test", "sesame"); err != nil || !u.Admin {
		t.Errorf("%+v, %v", u, err)
	}
	if status, _ := stranger.get(link); status != 404 {
		t.Errorf("used, and still there: %d", status)
	}
	if status, _ := form(secret, "second@example.test", "sesame", "sesame"); status != 404 {
		t.Errorf("used twice: %d", status)
	}
	if link, _ := o.s.SetupLink(t.Context()); link != "" {
		t.Errorf("still printed: %s", link)
	}
}

// Outside a demonstration the first password must be worth something, and a
// form that comes back knows its link still.
func TestSetupRefusesWeakPasswords(t *testing.T) {
	o := newOfficeTest(t, func(c *Config) { c.Demo = false })
	no := false
	if _, err := o.s.Store.UpdateUser(t.Context(), o.ada.ID, store.UserChange{Admin: &no}); err != nil {
		t.Fatal(err)
	}
	link, err := o.s.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stranger := visitor{officeTest: o}
	form := func(password string) (int, string) {
		return stranger.post("/setup", "setup", strings.TrimPrefix(link, "/setup?token="), "address", "root@example.test", "password", password, "again", password)
	}
	for _, password := range []string{"", "sesame", "七文字の合言葉", "line\nbreaks", "nul\x00octet", strings.Repeat("x", 1025)} {
		status, page := form(password)
		if status != 422 || !strings.Contains(page, "8 characters or more") || !strings.Contains(page, `href="/setup?lang=ja&amp;token=`) {
			t.Errorf("%q: %d\n%s", password, status, page)
		}
	}
	if status, _ := form("八文字もある合言葉"); status != 303 {
		t.Error(status)
	}
}

func withServers(c *Config) {
	c.Operation.Clients = []MailServer{
		{"imap", "mail.example.test", 1143, "starttls"}, {"imap", "mail.example.test", 1993, "tls"},
		{"pop3", "mail.example.test", 1110, "none"},
		{"smtp", "mail.example.test", 1587, "starttls"}, {"smtp", "mail.example.test", 1587, "none"},
	}
}

func TestAutoconfig(t *testing.T) {
	o := newOfficeTest(t, withServers)
	for _, path := range []string{"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=x@y.test", "/mail/config-v1.1.xml"} {
		answer := o.do("GET", path, "")
		b, _ := io.ReadAll(answer.Body)
		var c clientConfig
		if err := xml.Unmarshal(b, &c); err != nil || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/xml") {
			t.Fatalf("%v, %v\n%s", answer.Header, err, b)
		}
		got := fmt.Sprint(c.Provider.Domains)
		for _, s := range append(c.Provider.Incoming, c.Provider.Outgoing...) {
			got += fmt.Sprint(" ", s.Type, " ", s.Hostname, ":", s.Port, " ", s.SocketType, " ", s.Username)
		}
		want := "[example.test] imap mail.example.test:1993 SSL %EMAILADDRESS% imap mail.example.test:1143 STARTTLS %EMAILADDRESS%" +
			" pop3 mail.example.test:1110 plain %EMAILADDRESS% smtp mail.example.test:1587 STARTTLS %EMAILADDRESS%"
		if got != want || c.Version != "1.1" {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if answer := newOfficeTest(t, nil).do("GET", "/mail/config-v1.1.xml", ""); answer.StatusCode != 404 {
		t.Errorf("without listeners: %d", answer.StatusCode)
	}
}

func TestAutodiscover(t *testing.T) {
	o := newOfficeTest(t, withServers)
	ask := func(body string) (int, string) {
		answer := o.do("POST", "/autodiscover/autodiscover.xml", body, "Content-Type", "text/xml")
		b, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(b)
	}
	request := `<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>%s</EMailAddress></Request></Autodiscover>`
	status, text := ask(fmt.Sprintf(request, "Bob@example.test"))
	for _, want := range []string{"<LoginName>bob@example.test</LoginName>", "<Type>IMAP</Type>", "<Port>1993</Port>", "<Encryption>SSL</Encryption>", "<Encryption>TLS</Encryption>", "<AccountType>email</AccountType>"} {
		if !strings.Contains(text, want) {
			t.Errorf("%d: lacks %s\n%s", status, want, text)
		}
	}
	var a autodiscoverAnswer
	if err := xml.Unmarshal([]byte(text), &a); err != nil || len(a.Response.Protocols) != 4 {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{"", "<", "nonsense", fmt.Sprintf(request, ""), fmt.Sprintf(request, "x"), "<a>" + strings.Repeat("<b>", 100000),
		`<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><Autodiscover><Request><EMailAddress>&e;</EMailAddress></Request></Autodiscover>`} {
		if status, text := ask(bad); status < 400 || status >= 500 || strings.Contains(text, "passwd") {
			t.Errorf("%.40q: %d", bad, status)
		}
	}
}

func TestAppleProfile(t *testing.T) {
	o := newOfficeTest(t, withServers)
	name := "Bob <&>"
	if _, err := o.s.Store.UpdateUser(t.Context(), o.bob.ID, store.UserChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if answer := o.do("GET", "/setup/apple.mobileconfig", ""); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("for a stranger: %d", answer.StatusCode)
	}
	bob := o.as(o.bob)
	_, first := bob.get("/setup/apple.mobileconfig")
	_, second := bob.get("/setup/apple.mobileconfig")
	if first != second {
		t.Error("it is another each time")
	}
	d := xml.NewDecoder(strings.NewReader(first))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
	}
	for _, want := range []string{
		"<key>EmailAddress</key><string>bob@example.test</string>", "<string>Bob &lt;&amp;&gt;</string>",
		"<key>IncomingMailServerPortNumber</key><integer>1993</integer>", "<key>IncomingMailServerUseSSL</key><true/>",
		"<key>OutgoingMailServerPortNumber</key><integer>1587</integer>", "<string>com.apple.mail.managed</string>", "<key>PayloadUUID</key><string>",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("lacks %s\n%s", want, first)
		}
	}
	if strings.Contains(first, "secret") || strings.Contains(first, "Password</key><string>s") {
		t.Error("it holds a password")
	}
}

func TestClientsPage(t *testing.T) {
	o := newOfficeTest(t, withServers)
	_, page := visitor{officeTest: o}.get("/setup/clients")
	for _, want := range []string{"Thunderbird", "alice@example.test", "mail.example.test", "port 1993", "SSL/TLS", "no encryption", "/login?next="} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q\n%s", want, page)
		}
	}
	_, page = o.as(o.bob).get("/setup/clients")
	if !strings.Contains(page, "bob@example.test") || !strings.Contains(page, "/setup/apple.mobileconfig") {
		t.Errorf("%s", page)
	}
	if status, _ := (visitor{officeTest: newOfficeTest(t, nil)}).get("/setup/clients"); status != 404 {
		t.Errorf("without listeners: %d", status)
	}
}
