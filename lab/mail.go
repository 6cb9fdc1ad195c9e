package lab

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/mail"
	"strings"
	"time"
)

// letter is a mail that somebody writes in a scenario.
type letter struct {
	id         string
	from       string // an address, or "" for the owner of the account
	fromName   Words
	subject    Words
	text       Words
	attachment int // octets of an attached file
}

// labDomain marks the Message-ID of what the lab sends, so that it deletes
// nothing else.
const labDomain = "lab.yubin.invalid"

var (
	meeting = letter{
		id: "m1", from: "hanako@example.com", fromName: Words{"Hanako Sato", "佐藤 花子"},
		subject: Words{"Meeting on Wednesday", "会議のお知らせ"},
		text: Words{
			"Dear Alice,\n\nwe meet on Wednesday at ten, in room 3.\nPlease bring last week's notes.\n\nHanako\n",
			"アリス様\n\n会議は水曜日の10時から、第3会議室で行います。\n先週の議事録をお持ちください。\n\n佐藤\n"},
	}
	invoice = letter{
		id: "m2", from: "hanako@example.com", fromName: Words{"Hanako Sato", "佐藤 花子"},
		subject: Words{"Invoice for November", "請求書の件"},
		text: Words{
			"Dear Alice,\n\nthe invoice for November comes to 12,000 yen.\nPlease pay it by the end of the month.\n\nHanako\n",
			"アリス様\n\n11月分の請求額は12,000円です。\n月末までにお支払いをお願いいたします。\n\n佐藤\n"},
	}
	answer = letter{
		id:       "m3",
		fromName: Words{"Alice", "アリス"},
		subject:  Words{"Lunch on Wednesday?", "水曜日のお昼の件"},
		text: Words{
			"Hi Bob,\n\nthe meeting is on Wednesday at ten. Shall we have lunch after it?\n\nAlice\n",
			"ボブさん\n\n会議は水曜日の10時からになりました。\n終わったらお昼をご一緒しませんか。\n\nアリス\n"},
	}
	photos = letter{
		id: "m4", from: "hanako@example.com", fromName: Words{"Hanako Sato", "佐藤 花子"},
		subject: Words{"Photos from the trip", "旅行の写真"},
		text: Words{
			"Dear Alice,\n\nhere are the photos, five megabytes of them.\nThe ones by the sea are the best.\n\nHanako\n",
			"アリス様\n\n旅行の写真を5 MBほどお送りします。\n海の写真がよく撮れています。\n\n佐藤\n"},
		attachment: 5 << 20,
	}
)

// compose writes a letter as it goes over the wire (RFC 5322).
func (l letter) compose(lang Lang, scenario, from, to string) []byte {
	var b bytes.Buffer
	address := mail.Address{Name: l.fromName.In(lang), Address: from}
	fmt.Fprintf(&b, "From: %s\r\nTo: <%s>\r\n", address.String(), to)
	fmt.Fprintf(&b, "Subject: %s\r\n", mime.BEncoding.Encode("utf-8", l.subject.In(lang)))
	fmt.Fprintf(&b, "Date: %s\r\n", time.Now().Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Message-ID: <%s.%s@%s>\r\nMIME-Version: 1.0\r\n", l.id, scenario, labDomain)
	text := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		strings.ReplaceAll(l.text.In(lang), "\n", "\r\n")
	if l.attachment == 0 {
		b.WriteString(text)
		return b.Bytes()
	}
	const boundary = "=_photos"
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\r\n\r\n--%s\r\n%s", boundary, boundary, text)
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: application/zip; name=photos.zip\r\n", boundary)
	b.WriteString("Content-Disposition: attachment; filename=photos.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	encoded := base64.StdEncoding.EncodeToString(noise(l.attachment))
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		b.WriteString(encoded[:n] + "\r\n")
		encoded = encoded[n:]
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

// noise is a file that looks like one that is packed already, and is the same
// each time.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// recognise finds out which letter of the lab a message is, from its header.
// Mail of others is "".
func recognise(raw []byte) (id, subject string) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "", ""
	}
	subject, _ = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	local, domain, _ := strings.Cut(strings.Trim(m.Header.Get("Message-Id"), "<> "), "@")
	if domain != labDomain {
		return "", subject
	}
	id, _, _ = strings.Cut(local, ".")
	return id, subject
}
