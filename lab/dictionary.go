package lab

import (
	"slices"
	"strings"

	"github.com/yubin-mail/yubin/wiretap"
)

// encrypt is the same in every protocol.
var encrypt = Words{"let us go on encrypted, by TLS", "ここからTLSで暗号化しよう"}

// commands says in a few words what a command means: by protocol and verb.
var commands = map[string]map[string]Words{
	"smtp": {
		"EHLO": {"hello, this is who I am; what can you do?", "こんにちは、○○です。何ができますか"},
		"HELO": {"hello, this is who I am", "こんにちは、○○です"},
		"AUTH": {"logs in: who is sending?", "ログイン(送信者本人の確認)"},
		"MAIL": {"the envelope's sender", "封筒の差出人"},
		"RCPT": {"the envelope's recipient", "封筒の宛先"},
		"DATA": {"here comes the letter itself", "これから手紙の本体を送る"},
		".":    {"a lone dot: the end of the letter", "ピリオドだけの行：手紙の終わり"},
		"RSET": {"forget this mail", "このメールは取りやめ"},
		"NOOP": {"still there?", "接続の確認"},
		"QUIT": {"goodbye", "終了"},
		// What the lab's own devices do not say.
		"STARTTLS": encrypt,
		"BDAT":     {"a piece of the letter, of this size", "手紙の本体を、このサイズだけ送る"},
		"VRFY":     {"is there such an address?", "このアドレスはある？"},
		"EXPN":     {"who is on this list?", "このリストには誰がいる？"},
		"HELP":     {"which commands are there?", "使える命令は？"},
	},
	"pop3": {
		"CAPA": {"what can you do?", "何ができますか"},
		"USER": {"who I am", "ユーザー名"},
		"PASS": {"the password (masked)", "パスワード(伏せ字)"},
		"AUTH": {"logs in (masked)", "ログイン(伏せ字)"},
		"STAT": {"how many mails, and how large?", "何通あって、何バイト？"},
		"LIST": {"the size of each mail", "1通ごとのサイズ"},
		"UIDL": {"a unique name for each mail", "1通ごとの固有のID"},
		"RETR": {"give me this whole mail", "このメールを全部ください"},
		"TOP":  {"only the header and the first lines", "ヘッダーと本文の先頭だけ"},
		"DELE": {"delete it, once I say QUIT", "QUITのときに削除する印"},
		"RSET": {"forget the deletions", "削除の取り消し"},
		"NOOP": {"still there?", "接続の確認"},
		"QUIT": {"goodbye; marked mails go now", "終了。印を付けたメールはここで削除"},
		"STLS": encrypt,
		"APOP": {"logs in (masked)", "ログイン(伏せ字)"},
		"UTF8": {"UTF-8 will do, in headers too", "ヘッダーにもUTF-8を使う"},
		"LANG": {"the language of the answers", "応答の言語"},
	},
	"imap": {
		"CAPABILITY":   {"what can you do?", "何ができますか"},
		"LOGIN":        {"logs in; the password is masked", "ログイン(パスワードは伏せ字)"},
		"AUTHENTICATE": {"logs in (masked)", "ログイン(伏せ字)"},
		"SELECT":       {"open this mailbox", "メールボックスを開く"},
		"EXAMINE":      {"open this mailbox, only to look", "閲覧だけのために開く"},
		"LIST":         {"which mailboxes are there?", "メールボックスの一覧"},
		"STATUS":       {"how many mails are in it?", "何通ある？"},
		"CREATE":       {"make a mailbox (folder)", "フォルダーを作る"},
		"DELETE":       {"remove a mailbox", "フォルダーを削除"},
		"FETCH":        {"give me these parts of the mail", "メールの指定した部分を受け取る"},
		"STORE":        {"set a flag on the server", "サーバー上のメールに印を付ける"},
		"MOVE":         {"move the mail to another mailbox", "メールを別のフォルダーに移す"},
		"COPY":         {"copy the mail", "メールをコピー"},
		"APPEND":       {"put this mail into a mailbox", "このメールをフォルダーに保存"},
		"EXPUNGE":      {"remove what is marked \\Deleted", "\\Deletedの付いたメールを消去"},
		"SEARCH":       {"which mails match?", "条件に合うメールを探す"},
		"IDLE":         {"tell me when something happens", "変化があったら知らせて"},
		"DONE":         {"enough listening", "待ち受けを終える"},
		"NOOP":         {"anything new?", "変化はあった？"},
		"LOGOUT":       {"goodbye", "終了"},

		"STARTTLS":       encrypt,
		"ID":             {"says which program this is", "メールソフトの名前を伝える"},
		"ENABLE":         {"use these extensions", "拡張機能を使う"},
		"NAMESPACE":      {"where are the mailboxes?", "フォルダーの置き場所は？"},
		"LSUB":           {"which mailboxes are subscribed?", "購読しているフォルダーの一覧"},
		"SUBSCRIBE":      {"show this mailbox in the list", "このフォルダーを一覧に載せる"},
		"UNSUBSCRIBE":    {"leave this mailbox out of the list", "このフォルダーを一覧から外す"},
		"RENAME":         {"give a mailbox another name", "フォルダーの名前を変える"},
		"CHECK":          {"put everything in order; an old command", "状態の保存(古い命令)"},
		"CLOSE":          {"leave the mailbox; what is marked \\Deleted goes", "メールボックスを閉じ、\\Deletedの付いたメールを消去"},
		"UNSELECT":       {"leave the mailbox, and remove nothing", "何も消さずにメールボックスを閉じる"},
		"UNAUTHENTICATE": {"logs out, and stays connected", "接続したままログアウト"},
	},
}

// pages says what a browser's requests are for, by how they begin.
var pages = []notion{
	{"GET /login", Words{"shows the login page", "ログイン画面を開く"}},
	{"POST /login", Words{"logs in; the password is masked", "ログイン(パスワードは伏せ字)"}},
	{"GET /m/inbox/", Words{"opens this mail", "このメールを開く"}},
	{"GET /m/", Words{"shows the mails of this folder", "フォルダーのメール一覧を開く"}},
	{"POST /act", Words{"does something to mails", "メールを操作する"}},
	{"POST /folder", Words{"changes the folders", "フォルダーを操作する"}},
	{"GET /compose", Words{"shows the page for writing", "作成画面を開く"}},
	{"POST /compose", Words{"sends; from here on it is SMTP", "送信を頼む。この先はSMTP"}},
	{"GET /live", Words{"tell me when something happens", "変化があったら知らせて"}},
}

// notable says what a line of a server means, by how it begins: by its words,
// where * stands for any one.
var notable = map[string][]notion{
	"smtp": {
		{"4", Words{"not now; try again later", "いまは受け取れない。あとでもう一度"}},
		{"5", Words{"refused", "断られた"}},
	},
	"pop3": {
		{"-ERR [IN-USE]", Words{"another session has this mailbox", "ほかの接続が使用中"}},
		{"-ERR [AUTH]", Words{"name or password is wrong", "ユーザー名かパスワードの誤り"}},
		{"-ERR", Words{"refused", "断られた"}},
		{"+OK 0 0", Words{"there is nothing", "1通もない"}},
	},
	"imap": {
		{"* * EXISTS", Words{"so many mails are in the mailbox", "メールボックスにある通数"}},
		{"* * EXPUNGE", Words{"this mail is gone", "このメールはなくなった"}},
		{`* * FETCH * * FLAGS (\Seen)`, Words{"this mail has been read", "このメールは既読"}},
		{"* OK [UIDVALIDITY", Words{"the generation that the numbers of mails belong to", "メール番号の世代"}},
		{"* NO", Words{"a warning", "警告"}},
		{"* BYE", Words{"the server hangs up", "サーバーが切断"}},
		{"+ idling", Words{"listening from now on", "待ち受け開始"}},
	},
}

// explain says what a line means, or nothing.
func explain(proto, verb string, line wiretap.Line, l Lang) string {
	return meaning(proto, verb, line).In(l)
}

func meaning(proto, verb string, line wiretap.Line) (w Words) {
	proto = grammar(proto)
	if line.Body {
		return w
	}
	switch line.Dir {
	case wiretap.Client:
		if proto == "http" {
			return lookUp(pages, line.Text)
		}
		if proto == "imap" && verbOf(proto, line.Text) != verb {
			return w // the rest of a command that came with a literal
		}
		return commands[proto][verb]
	case wiretap.Server:
		return lookUp(notable[proto], line.Text)
	}
	return w
}

// lookUp finds the first pattern that a line begins with.
func lookUp(table []notion, text string) (w Words) {
	for _, n := range table {
		if begins(text, n.pattern) {
			return n.words
		}
	}
	return w
}

// notion is what a line means that begins with a pattern.
type notion struct {
	pattern string
	words   Words
}

// begins compares word by word; the last word of the pattern may be the
// beginning of one.
func begins(text, pattern string) bool {
	words, wanted := strings.Fields(text), strings.Fields(pattern)
	if len(words) < len(wanted) {
		return false
	}
	for i, w := range wanted {
		if w == "*" && i > 0 || w == words[i] || i == len(wanted)-1 && strings.HasPrefix(words[i], w) {
			continue
		}
		return false
	}
	return true
}

// grammar is the protocol whose commands a listener takes.
func grammar(proto string) string {
	switch proto {
	case "submission":
		return "smtp"
	case looking:
		return "imap"
	}
	return proto
}

// exchange is a command and what the server said to it, or what it said
// without being asked.
type exchange struct {
	verb   string
	pushed bool
	lines  []wiretap.Line
}

// exchanges parts lines of a conversation; idling says that an IMAP server was
// talking without being asked when they begin.
func exchanges(proto string, lines []wiretap.Line, idling bool) (found []exchange) {
	for _, line := range lines {
		verb := ""
		switch {
		case proto == "http" && line.Dir == wiretap.Client && !strings.HasSuffix(line.Text, " HTTP/1.1"):
			// a header field, or a form
		case line.Dir == wiretap.Client && !line.Body && !(proto == "imap" && strings.HasPrefix(line.Text, ")")):
			verb = verbOf(proto, line.Text)
			idling = false
		case proto == "imap" && line.Dir == wiretap.Server && strings.HasPrefix(line.Text, "+ idling"):
			idling = true
		case idling && line.Dir == wiretap.Server && strings.HasPrefix(line.Text, "* "):
			found = append(found, exchange{pushed: true, lines: []wiretap.Line{line}})
			continue
		case proto == "http" && line.Dir == wiretap.Server && strings.HasPrefix(line.Text, "event: "):
			found = append(found, exchange{pushed: true, lines: []wiretap.Line{line}})
			continue
		}
		if verb != "" || len(found) == 0 {
			found = append(found, exchange{verb: verb})
		}
		last := &found[len(found)-1]
		last.lines = append(last.lines, line)
	}
	return found
}

// noCommand is said of a line that the tap has hidden because it could be a
// password in the wrong place.
var noCommand = Words{"no command, so it is masked: it might be a password", "命令ではないため伏せ字(パスワードの打ち間違いかもしれないため)"}

// credentials is said of what follows a login's first line.
var credentials = Words{"what the login asks for, masked", "ログインに必要な情報(伏せ字)"}

// unknown reports whether the server did not know what the client said.
func (x exchange) unknown() bool {
	return slices.ContainsFunc(x.lines, func(l wiretap.Line) bool {
		return l.Dir == wiretap.Server && (strings.Contains(l.Text, " BAD ") || strings.HasPrefix(l.Text, "50") || strings.HasPrefix(l.Text, "-ERR"))
	})
}

// Legible is a line of a transcript for people to read: there a tab is \t and
// a blank at the end \x20, so that they can be seen, and here they are
// themselves again.
func Legible(text string) string { return tabs.Replace(text) }

var tabs = strings.NewReplacer(`\\`, `\\`, `\t`, "\t", `\x20`, " ")

// verbOf is the command of a client's line.
func verbOf(proto, text string) string {
	words := strings.Fields(strings.ToUpper(text))
	switch {
	case len(words) == 0:
		return ""
	case proto != "imap" || len(words) == 1:
		return words[0]
	case words[1] == "UID" && len(words) > 2:
		return words[2]
	}
	return words[1]
}

// idlesAfter tells whether an IMAP client is listening after the lines.
func idlesAfter(proto string, lines []wiretap.Line) bool {
	for i := len(lines) - 1; i >= 0 && proto == "imap"; i-- {
		switch {
		case lines[i].Dir == wiretap.Client:
			return false
		case lines[i].Dir == wiretap.Server && strings.HasPrefix(lines[i].Text, "+ idling"):
			return true
		}
	}
	return false
}
