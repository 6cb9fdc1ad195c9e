package lab

// remarks says what the tap's own remarks mean.
var remarks = []notion{
	{"opened", Words{"this mail was opened (UIDVALIDITY and UID)", "このメールを開いた(数字はUIDVALIDITYとUID)"}},
	{"flags", Words{"a flag of this mail was set (+) or removed (-)", "このメールの印を付けた(+)、または外した(-)"}},
	{"moved", Words{"this mail was moved", "このメールを移した"}},
	{"no network", Words{"not sent: the device has no network", "端末がオフラインのため送信できない"}},
	{"TLS from here", Words{"what follows is encrypted and not kept", "ここから先は暗号化され、記録されない"}},
}

// usual says what a server's everyday lines mean. A story in a terminal goes
// without them; who follows a conversation line by line wants to know.
var usual = map[string][]notion{
	"smtp": {
		{"220 2.0.0", Words{"ready; TLS begins", "準備完了。TLSを始める"}},
		{"220", Words{"the server is there", "サーバーのあいさつ"}},
		{"221", Words{"goodbye", "終了のあいさつ"}},
		{"235", Words{"the login is right", "ログイン成功"}},
		{"250-", Words{"one thing that it can do", "使える機能のひとつ"}},
		{"250 2.1.0", Words{"this sender will do", "差出人を受け付けた"}},
		{"250 2.1.5", Words{"this recipient is known here", "宛先を受け付けた"}},
		{"250 2.0.0", Words{"taken: from now on the server is answerable for it", "預かった。ここからはサーバーの責任"}},
		{"250", Words{"all right", "了解"}},
		{"334", Words{"go on with the login", "ログインの続きを待つ"}},
		{"354", Words{"send it, and end with a lone dot", "本体をどうぞ。終わりはピリオドだけの行"}},
	},
	"pop3": {
		{"+OK", Words{"all right", "成功"}},
		{"+", Words{"go on with the login", "ログインの続きを待つ"}},
		{".", Words{"the end of what was asked for", "ここで終わり"}},
	},
	"imap": {
		{"* OK [UNSEEN", Words{"the first mail that is unread", "最初の未読メールの番号"}},
		{"* OK [UIDNEXT", Words{"the number that the next mail gets", "次に届くメールの番号"}},
		{"* OK [PERMANENTFLAGS", Words{"the flags that can be set for good", "保存できる印の種類"}},
		{"* OK [HIGHESTMODSEQ", Words{"how far the changes are numbered", "変更の通し番号"}},
		{"* OK [CAPABILITY", Words{"the server greets and says what it can do", "サーバーのあいさつと、使える機能"}},
		{"* OK", Words{"the server says something", "サーバーからの通知"}},
		{"* CAPABILITY", Words{"what it can do", "使える機能の一覧"}},
		{"* * RECENT", Words{"how many came since the last look; an old figure", "前回より後に届いた通数(古い仕様)"}},
		{"* FLAGS", Words{"the flags there are", "使える印の一覧"}},
		{"* LIST", Words{"one mailbox", "メールボックスがひとつ"}},
		{"* STATUS", Words{"how much is in it", "その中の通数や大きさ"}},
		{"* LSUB", Words{"one mailbox that is subscribed", "購読しているフォルダーがひとつ"}},
		{"* ENABLED", Words{"the extensions that are in use now", "有効になった拡張機能"}},
		{"* ID", Words{"says which program the server is", "サーバーソフトの名前"}},
		{"* NAMESPACE", Words{"where the mailboxes are", "フォルダーの置き場所"}},
		{"* SEARCH", Words{"the mails that match", "条件に合うメール"}},
		{"* ESEARCH", Words{"the mails that match", "条件に合うメール"}},
		{"* * FETCH", Words{"what was asked for of one mail", "頼んだ内容(1通分)"}},
		{"+", Words{"go on", "続きをどうぞ"}},
		{"tag OK [READ-ONLY]", Words{"done; it may only be looked at", "完了(閲覧のみ)"}},
		{"tag OK", Words{"done", "完了"}},
		{"tag NO", Words{"that cannot be done", "実行できなかった"}},
		{"tag BAD", Words{"that is no proper command", "命令として正しくない"}},
	},
	"http": {
		{"HTTP/1.1 200", Words{"here is the page", "ページを返した"}},
		{"HTTP/1.1 303", Words{"done; look here now", "完了。次はこのページへ"}},
		{"event: mail", Words{"something has changed; this is what", "変化の知らせ"}},
		{"HTTP/1.1 4", Words{"refused", "断られた"}},
		{"HTTP/1.1 5", Words{"the server has failed", "サーバー側の失敗"}},
	},
}
