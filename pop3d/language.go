package pop3d

import (
	"bufio"
	"strings"
)

// A phrase is a text of ours in every language we speak. Texts are for
// people; clients go by the indicator and the response code.
type phrase struct{ en, ja string }

func (p phrase) in(l *language) string {
	if l == &japanese && p.ja != "" {
		return p.ja
	}
	return p.en
}

// A language is a line of what LANG lists.
type language struct {
	tag  string // RFC 5646
	name string // in the language itself
}

// Before any LANG the language is i-default, which is English (RFC 2277 §4.5).
var (
	initial  = language{"i-default", "Default language"}
	english  = language{"en", "English"}
	japanese = language{"ja", "日本語"}

	languages = []*language{&english, &japanese, &initial}
)

// lang chooses the language of our texts, or lists them (RFC 6856 §3).
func (s *session) lang(args []string) reply {
	if len(args) == 0 {
		r := ok(languageList)
		r.body = func(w *bufio.Writer) error {
			for _, l := range languages {
				if _, err := w.WriteString(l.tag + " " + l.name + "\r\n"); err != nil {
					return err
				}
			}
			return nil
		}
		return r
	}
	l := lookup(args[0])
	if l == nil {
		return fail(codeNone, languageUnknown, s.language.tag)
	}
	s.language = l
	return ok(languageChosen, l.tag)
}

// lookup finds the language for a basic language range by cutting subtags
// from its end (RFC 4647 §3.4): ja-JP is ja. "*" is whatever we prefer.
func lookup(tags string) *language {
	if tags == "*" {
		return &english
	}
	for {
		for _, l := range languages {
			if strings.EqualFold(l.tag, tags) {
				return l
			}
		}
		i := strings.LastIndexByte(tags, '-')
		if i < 0 {
			return nil
		}
		tags = tags[:i]
	}
}

var (
	// The greeting is English: nobody has said LANG yet. It has no angle
	// brackets, which would offer APOP (RFC 1939 §7).
	greeting = phrase{en: "%s POP3 server ready"}
	goodbye  = phrase{"goodbye", "さようなら"}

	unknownCommand = phrase{"unknown command", "そのコマンドはありません"}
	wrongArguments = phrase{"wrong arguments", "引数が正しくありません"}
	notPrintable   = phrase{"command holds control characters or is not UTF-8", "制御文字または UTF-8 でない文字が含まれています"}
	lineTooLong    = phrase{"line too long", "行が長すぎます"}
	tooMuchOfThis  = phrase{"too many bad commands", "誤ったコマンドが多すぎます"}
	loginFirst     = phrase{"log in first", "先にログインしてください"}
	alreadyIn      = phrase{"already logged in", "すでにログインしています"}
	shuttingDown   = phrase{"server is shutting down, nothing was removed", "サーバーを停止します。削除は行われていません"}
	sentAway       = phrase{"an administrator has closed the connection, nothing was removed", "管理者が接続を切断しました。削除は行われていません"}
	temporarily    = phrase{"temporary failure, try again later", "一時的な障害です。後でもう一度お試しください"}

	capabilityList = phrase{"capability list follows", "機能の一覧です"}

	languageList    = phrase{"language listing follows", "使用できる言語の一覧です"}
	languageChosen  = phrase{"%s language changed", "%s 表示言語を変更しました"}
	languageUnknown = phrase{"%s no such language here", "%s その言語には対応していません"}

	utf8Enabled = phrase{"UTF-8 mode", "UTF-8 モードにしました"}

	stlsBegin    = phrase{"begin TLS negotiation", "TLS ネゴシエーションを開始してください"}
	stlsNone     = phrase{"TLS is not available here", "ここでは TLS を使用できません"}
	stlsActive   = phrase{"TLS is active already", "すでに TLS を使用しています"}
	stlsAfter    = phrase{"not after UTF8", "UTF8 コマンドの後には使用できません"}
	stlsPipeline = phrase{"nothing may follow STLS before TLS", "STLS の後、TLS の開始前に何も送らないでください"}

	sendPassword    = phrase{"send the password", "パスワードを送ってください"}
	userFirst       = phrase{"USER first", "先に USER を送ってください"}
	useTLS          = phrase{"not without TLS", "TLS なしでは使用できません"}
	noAPOP          = phrase{"APOP is not offered: it would need the stored password", "APOP は使用できません（保存されたパスワードそのものが必要なため）"}
	badCredentials  = phrase{"wrong user name or password", "ユーザー名またはパスワードが違います"}
	tooManyFailures = phrase{"too many failed logins, try again later", "ログインの失敗が多すぎます。後でもう一度お試しください"}
	accessEnded     = phrase{"password or account has changed, log in again", "パスワードまたはアカウントが変更されました。もう一度ログインしてください"}
	loggedInLately  = phrase{"wait at least %d seconds between logins", "次のログインまで %d 秒以上お待ちください"}
	maildropInUse   = phrase{"another session is using this maildrop", "このメールボックスは別の接続で使用中です"}
	oneMessage      = phrase{"%d message (%d octets)", "メッセージ %d 通（%d オクテット）"}
	manyMessages    = phrase{"%d messages (%d octets)", "メッセージ %d 通（%d オクテット）"}

	mechanismList    = phrase{"SASL mechanisms follow", "SASL 認証方式の一覧です"}
	mechanismUnknown = phrase{"no such SASL mechanism here", "その SASL 認証方式には対応していません"}
	saslCancelled    = phrase{"authentication cancelled", "認証を中止しました"}
	saslMalformed    = phrase{"malformed authentication exchange", "認証のやり取りが正しくありません"}
	saslNotBase64    = phrase{"not base64", "Base64 として読めません"}

	figures       = phrase{en: "%d %d"}
	uniqueID      = phrase{en: "%d %s"}
	uniqueIDs     = phrase{"unique-id listing follows", "固有 ID の一覧です"}
	messageSize   = phrase{"%d octets", "%d オクテット"}
	topFollows    = phrase{"top of message follows", "メッセージの先頭部分です"}
	noSuchMessage = phrase{"no such message", "そのメッセージはありません"}
	marked        = phrase{"message %d marked for deletion", "メッセージ %d に削除の印を付けました"}
	completed     = phrase{"done", "完了"}
	notRemoved    = phrase{"some deleted messages not removed", "削除できなかったメッセージがあります"}
)
