package relay

import (
	"fmt"
	"strings"
	"time"
)

// language is what notices say.
type language struct {
	greeting, failed, delayed, relayed string
	arrived, expanded, unvouched       string
	subject, said, expired             string
	whole, header                      string
	titles                             map[Event]string
	hours, days                        string
	reasons                            map[string]string // by RFC 3463 detail, or its subject alone
}

var english = language{
	greeting: "This is the mail system at %s.",
	failed: "Your message could not be delivered to the recipients below.\n" +
		"It will not be tried again for them.",
	delayed: "Your message has been waiting for %s and has not yet been delivered\n" +
		"to the recipients below. You need not send it again: it will be tried\n" +
		"for up to %s.",
	relayed: "Your message has been handed over for the recipients below. Their\n" +
		"mail server sends no confirmations, so this is the last you hear of it.",
	arrived: "Your message has been delivered to the addresses below. This does not\n" +
		"say that anybody has read it.",
	expanded: "This address stands for several, to each of which the message goes on.",
	unvouched: "A message that an alias here leads elsewhere could not be delivered to the\n" +
		"recipients below. Its sender, <%s>, has not been told:\n" +
		"nobody vouches for that address, which may be forged, or it has asked for\n" +
		"no such notice.",
	subject: "Subject:",
	said:    "The server %s said: %s",
	expired: "It was tried for %s.",
	whole:   "Your message is attached.",
	header:  "The header of your message is attached.",
	titles:  map[Event]string{Failed: "Undelivered mail", Deferred: "Delayed mail", Delivered: "Mail handed over", arrived: "Mail delivered"},
	hours:   "%d hours",
	days:    "%d days",
	reasons: map[string]string{
		"1.1":  "There is no such address.",
		"1.2":  "The domain of the address does not exist or has no mail server.",
		"1.3":  "The address is not valid.",
		"1.6":  "The mailbox has moved.",
		"1.10": "The domain of the address accepts no mail.",
		"1":    "The recipient's mail server does not accept the address.",
		"2.1":  "The mailbox is closed.",
		"2.2":  "The mailbox is full.",
		"2.3":  "The message is too large for the mailbox.",
		"2":    "The mailbox cannot take the message.",
		"3.4":  "The message is too large for the recipient's mail server.",
		"3":    "The recipient's mail server has a problem.",
		"4.1":  "The recipient's mail server does not answer.",
		"4.2":  "The connection to the recipient's mail server broke off.",
		"4.3":  "The recipient's mail server could not be found.",
		"4.4":  "There is no way to the recipient's mail server.",
		"4.6":  "The message would go round in circles.",
		"4":    "The recipient's mail server could not be reached.",
		"5":    "The recipient's mail server did not behave as mail servers do.",
		"6.7":  "The message uses international addresses or a header in UTF-8,\n    which the recipient's mail server does not know.",
		"6":    "The message has a form that the recipient's mail server cannot take.",
		"7.10": "The connection to the recipient's mail server is not encrypted as it\n    has to be.",
		"7.30": "The message must travel under TLS only, which the recipient's\n    mail server does not promise.",
		"7":    "The message was refused for reasons of security or policy.",
		"":     "The recipient's mail server did not accept the message.",
	},
}

var japanese = language{
	greeting: "%s のメールシステムからのお知らせです。",
	failed: "お送りになったメールは、下記の宛先に配信できませんでした。\n" +
		"この宛先への再送は行いません。",
	delayed: "お送りになったメールは %sのあいだ、下記の宛先にまだ配信できていません。\n" +
		"送り直す必要はありません。最長 %s、自動的に再送します。",
	relayed: "お送りになったメールは、下記の宛先のサーバーに渡されました。\n" +
		"相手のサーバーは配信確認に対応していないため、この後の通知はありません。",
	arrived: "お送りになったメールは、下記の宛先に配信されました。\n" +
		"相手の方が読んだことを示すものではありません。",
	expanded: "この宛先は複数の宛先をまとめたもので、メールはそれぞれに転送されます。",
	unvouched: "別名の転送先に指定されている下記の宛先に、メールを配信できませんでした。\n" +
		"差出人 <%s> には知らせていません。\n" +
		"本人のアドレスと確かめられず偽りのおそれがあるか、\n" +
		"差出人が通知を望んでいないためです。",
	subject: "件名:",
	said:    "サーバー %s の応答: %s",
	expired: "%sのあいだ再送を試みました。",
	whole:   "お送りになったメールを添付します。",
	header:  "お送りになったメールのヘッダーを添付します。",
	titles:  map[Event]string{Failed: "配信できませんでした", Deferred: "配信が遅れています", Delivered: "相手のサーバーに渡しました", arrived: "配信されました"},
	hours:   "%d 時間",
	days:    "%d 日",
	reasons: map[string]string{
		"1.1":  "この宛先は存在しません。",
		"1.2":  "宛先のドメインが存在しないか、メールサーバーがありません。",
		"1.3":  "宛先の書き方が正しくありません。",
		"1.6":  "メールボックスは移転しました。",
		"1.10": "宛先のドメインはメールを受け取りません。",
		"1":    "相手のメールサーバーがこの宛先を受け付けません。",
		"2.1":  "メールボックスは使われていません。",
		"2.2":  "メールボックスがいっぱいです。",
		"2.3":  "メールが大きすぎて、メールボックスに入りません。",
		"2":    "メールボックスがメールを受け取れません。",
		"3.4":  "メールが大きすぎて、相手のメールサーバーが受け取れません。",
		"3":    "相手のメールサーバーに問題があります。",
		"4.1":  "相手のメールサーバーが応答しません。",
		"4.2":  "相手のメールサーバーとの接続が途中で切れました。",
		"4.3":  "相手のメールサーバーが見つかりませんでした。",
		"4.4":  "相手のメールサーバーに届く経路がありません。",
		"4.6":  "メールが堂々めぐりになります。",
		"4":    "相手のメールサーバーに接続できませんでした。",
		"5":    "相手のメールサーバーの応答が正しくありません。",
		"6.7":  "国際化アドレスまたは UTF-8 のヘッダーを使っていますが、\n    相手のメールサーバーが対応していません。",
		"6":    "メールの形式を相手のメールサーバーが受け取れません。",
		"7.10": "相手のメールサーバーとの接続が、必要な形で暗号化されていません。",
		"7.30": "TLS だけで届けるよう指定されていますが、\n    相手のメールサーバーが対応していません。",
		"7":    "安全上または運用上の理由で拒否されました。",
		"":     "相手のメールサーバーがメールを受け取りませんでした。",
	},
}

func languageOf(isJapanese bool) language {
	if isJapanese {
		return japanese
	}
	return english
}

// explain says what an RFC 3463 code means.
func (l language) explain(detail string) string {
	if text, ok := l.reasons[detail]; ok {
		return text
	}
	subject, _, _ := strings.Cut(detail, ".")
	if text, ok := l.reasons[subject]; ok {
		return text
	}
	return l.reasons[""]
}

func (l language) duration(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf(l.days, int(d/(24*time.Hour)))
	}
	return fmt.Sprintf(l.hours, max(1, int(d/time.Hour)))
}

// subject is the notice's, with as much of the mail's own as fits.
func (p report) subject(of string, inJapanese bool) string {
	title := languageOf(inJapanese).titles[p.kind]
	if of == "" {
		return title
	}
	short := []rune(readable(of))
	return title + ": " + string(short[:min(len(short), 60)])
}
