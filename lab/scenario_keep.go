package lab

import (
	"context"
	"slices"
)

// projects is a folder that a person makes.
const projects = "Invoices"

var sentMail = Scenario{
	ID:    "sent-mail",
	Title: Words{"Where is the mail that I sent?", "送信済みメールはどこにある？"},
	Lanes: Columns,
	Steps: []Step{
		{
			Actor: alicePC,
			Text:  Words{"gets its mail and then writes to Bob. Sending is SMTP, whichever way she reads.", "受信を済ませてから、ボブさんに送信します。どの方式で読んでいても、送信はSMTPです。"},
			Why:   Words{"Neither POP3 nor IMAP can send. A webmail takes the mail by HTTP, and its server sends it on by SMTP.", "POP3にもIMAPにも送信の機能はありません。Webメールでは、HTTPで受け取ったサーバーがSMTPで送ります。"},
			RFC:   "RFC 6409 §3", Show: "AUTH MAIL RCPT .",
			do: all(fetch(thePC), sendToBob),
			Facts: []Fact{{
				Axis:    AxisSetUp,
				Text:    Words{"settings the PC needed to receive and to send", "PCで受信と送信に必要だった設定の数"},
				measure: setUp,
				lesson:  everywhere(some),
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"keeps a copy: with POP3 on the PC, with IMAP in the server's Sent folder (APPEND). A webmail has done so itself.", "控えを残します。POP3ではPCの中に、IMAPではサーバーの「送信済み」に保存します（APPEND）。Webメールでは、サーバーがすでに保存しています。"},
			Why:   Words{"SMTP carries the mail away and keeps nothing. A copy in Sent is stored in a second transfer.", "SMTPは運ぶだけで、控えを残しません。「送信済み」の控えは、送信とは別に保存したものです。"},
			RFC:   "RFC 9051 §6.3.12", Show: "APPEND",
			do: func(ctx context.Context, st *stage) error { return st.pc.KeepSent(ctx, answer, st.sent) },
		}, {
			Actor: phone,
			Text:  Words{"looks for what the PC has sent.", "PCから送ったメールを探します。"},
			Why:   Words{"Of a copy that is on one device only, the others know nothing.", "1台の端末だけにある控えは、ほかの端末からは見えません。"},
			RFC:   "RFC 6154 §2", Show: "STAT EXAMINE FETCH",
			do: func(ctx context.Context, st *stage) error {
				if err := st.phone.Fetch(ctx); err != nil {
					return err
				}
				if d, ok := st.phone.(viewer); ok {
					return d.Look(ctx, sent)
				}
				return nil
			},
			Facts: []Fact{{
				Axis:    AxisSent,
				Text:    Words{"sent mails the phone shows", "スマホで見える送信済みメール"},
				Choices: ofOne,
				measure: sentOnPhone,
				lesson:  map[Column]check{Delete: is(0, 1), Keep: is(0, 1), IMAP: is(1, 1), Web: is(1, 1)},
			}},
		},
	},
}

// setUp counts what had to be typed into the PC's mail program.
func setUp(st *stage) (Value, []Ref) {
	g := st.pc.base()
	refs := g.refs(logIn)
	for _, c := range g.talks {
		if !c.reads() {
			refs = append(refs, c.whole())
		}
	}
	return Value{Kind: Number, N: int64(len(g.settings))}, refs
}

func sentOnPhone(st *stage) (Value, []Ref) {
	g := st.phone.base()
	n := g.count(func(e *entry) bool { return e.mail == answer.id && e.folder == sent })
	if refs := g.refs(stat); len(refs) > 0 {
		return count(n, 1), refs
	}
	looked, ok := g.last(list, sent)
	if !ok {
		return Value{}, nil
	}
	return count(n, 1), []Ref{looked.ref}
}

var deleteAndTrash = Scenario{
	ID:    "delete-and-trash",
	Title: Words{"Deleted by mistake: can another device bring it back?", "削除とゴミ箱：うっかり消したメールは戻せる？"},
	Lanes: Columns,
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"gets them.", "受信します。"},
			Why:   Words{"Both ways of POP3 have a copy on the PC now; with IMAP and webmail the PC only shows what is on the server.", "POP3ではPCの中に写しができました。IMAPとWebメールのPCは、サーバーにあるものを見せているだけです。"},
			RFC:   "RFC 1939 §5",
			do:    fetch(thePC),
		}, {
			Actor: alicePC,
			Text:  Words{"deletes the first one. POP3 has only DELE, IMAP moves it to the server's Trash.", "1通目を削除します。POP3にあるのはDELEだけですが、IMAPではサーバーの「ゴミ箱」に移せます。"},
			Why:   Words{"DELE holds from QUIT on and cannot be undone. Trash is a folder, and POP3 knows none.", "DELEはQUITで確定し、取り消せません。「ゴミ箱」もフォルダーなので、POP3では扱えません。"},
			RFC:   "RFC 9051 §6.4.8", Show: "DELE QUIT MOVE",
			do: func(ctx context.Context, st *stage) error { return st.pc.Discard(ctx, meeting.id) },
		}, {
			Actor: phone,
			Text:  Words{"tries to bring it back.", "削除したメールを元に戻そうとします。"},
			Why:   Words{"The Trash of the server is the same for all devices, so another one can take a mail out of it.", "サーバーの「ゴミ箱」はどの端末からも同じものが見えるので、別の端末でも元に戻せます。"},
			RFC:   "RFC 9051 §6.4.8", Show: "STAT MOVE",
			do: func(ctx context.Context, st *stage) error {
				if _, shared := st.phone.(viewer); shared {
					if err := st.phone.Fetch(ctx); err != nil {
						return err
					}
				}
				return st.phone.Restore(ctx, meeting.id)
			},
			Facts: []Fact{{
				Text:    Words{"brought back by the phone", "スマホで元に戻せたメール"},
				Choices: ofOne,
				measure: restored,
				lesson:  map[Column]check{Delete: is(0, 1), Keep: is(0, 1), IMAP: is(1, 1), Web: is(1, 1)},
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"deletes it for good: marked as \\Deleted, then expunged.", "今度は完全に削除します。\\Deletedの印を付けてから消去（EXPUNGE）します。"},
			Why:   Words{"IMAP deletes in two steps, so that a marked mail can still be kept. After EXPUNGE it is gone for all devices.", "IMAPの削除は2段階なので、印を付けた段階ならまだ取り消せます。EXPUNGEのあとは、どの端末からも見えません。"},
			RFC:   "RFC 9051 §6.4.3", Show: "STORE EXPUNGE",
			Only: []Column{IMAP},
			do: func(ctx context.Context, st *stage) error {
				d := st.pc.(*IMAPDevice)
				if err := d.Fetch(ctx); err != nil {
					return err
				}
				if err := d.Expunge(meeting.id); err != nil {
					return err
				}
				if err := st.phone.Fetch(ctx); err != nil {
					return err
				}
				return lookAtServer(ctx, st)
			},
			Facts: []Fact{{
				Text:    Words{"left on the server", "サーバーに残ったメール"},
				measure: onServer, lesson: map[Column]check{IMAP: is(1, 2)},
			}, {
				Text:    Words{"left on the phone", "スマホに残ったメール"},
				measure: shown(thePhone), lesson: map[Column]check{IMAP: is(1, 2)},
			}},
		},
	},
}

func restored(st *stage) (Value, []Ref) {
	g := st.phone.base()
	n := g.count(func(e *entry) bool { return e.mail == meeting.id && e.folder == inbox })
	return count(n, 1), g.shows()
}

var folders = Scenario{
	ID:    "folders",
	Title: Words{"Tidying up: folders", "フォルダーで整理する"},
	Lanes: Columns,
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"makes a folder for invoices and files the second mail there.", "受信してから「Invoices」フォルダーを作り、2通目を移します。"},
			Why:   Words{"POP3 has one mailbox and no folders: what the PC makes stays on the PC.", "POP3で扱えるのは受信トレイだけです。PCで作ったフォルダーは、そのPCの中にしかありません。"},
			RFC:   "RFC 9051 §6.3.4", Show: "CREATE MOVE",
			do: all(fetch(thePC), func(ctx context.Context, st *stage) error {
				return st.pc.File(ctx, invoice.id, projects)
			}),
			Facts: []Fact{{
				Text:    Words{"filed there on the PC", "PCでフォルダーに入っているメール"},
				measure: filed(thePC), lesson: everywhere(is(1, 1)),
			}},
		}, {
			Actor: phone,
			Text:  Words{"gets its mail and looks for the folder.", "受信して、同じフォルダーを探します。"},
			Why:   Words{"With IMAP and webmail the folder is on the server, so every device shows the same one.", "IMAPとWebメールのフォルダーはサーバーにあるので、どの端末でも同じものが見えます。"},
			RFC:   "RFC 9051 §6.3.9", Show: "STAT LIST EXAMINE",
			do: func(ctx context.Context, st *stage) error {
				if err := st.phone.Fetch(ctx); err != nil {
					return err
				}
				d, ok := st.phone.(viewer)
				if !ok {
					return nil
				}
				names, err := d.Folders(ctx)
				if err != nil || !slices.Contains(names, projects) {
					return err
				}
				return d.Look(ctx, projects)
			},
			Facts: []Fact{{
				Axis:    AxisFolders,
				Text:    Words{"filed there on the phone", "スマホでフォルダーに入っているメール"},
				Choices: ofOne,
				measure: filed(thePhone),
				lesson:  map[Column]check{Delete: is(0, 1), Keep: is(0, 1), IMAP: is(1, 1), Web: is(1, 1)},
			}},
		},
	},
}

// filed counts the mails that a device shows in the folder.
func filed(who func(*stage) Device) func(*stage) (Value, []Ref) {
	return func(st *stage) (Value, []Ref) {
		g := who(st).base()
		n := g.count(func(e *entry) bool { return e.mail == invoice.id && e.folder == projects })
		if looked, ok := g.last(list, projects); ok {
			return count(n, 1), []Ref{looked.ref}
		}
		if moved, ok := g.last(file, invoice.id); ok {
			return count(n, 1), []Ref{moved.ref}
		}
		return count(n, 1), g.refs(stat, download, list)
	}
}

var offline = Scenario{
	ID:    "offline",
	Title: Words{"Without a network", "オフラインで読む"},
	Lanes: Columns,
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"gets its mail, and Alice opens the first one.", "受信して、1通目だけを開きます。"},
			Why:   Words{"POP3 has downloaded both. IMAP has the list and the text that was opened. The browser keeps nothing.", "POP3は2通とも取り込みました。IMAPが持っているのは一覧と、開いた1通の本文です。ブラウザーは何も保存しません。"},
			RFC:   "RFC 9051 §6.4.5", Show: "RETR FETCH",
			do: all(fetch(thePC), open(thePC, meeting)),
		}, {
			Actor: alicePC,
			Text:  Words{"goes on a train journey: the network is off, and only its own store is left.", "電車で移動中です。ネットワークにつながらず、端末に保存された分だけが頼りです。"},
			Why:   Words{"What can be read now is what was on the device before.", "いま読めるのは、接続が切れる前に端末に保存していたものだけです。"},
			RFC:   "RFC 1939 §1", Show: "QUIT LOGOUT",
			do: func(ctx context.Context, st *stage) error {
				if err := st.pc.Disconnect(); err != nil {
					return err
				}
				return open(thePC, meeting, invoice)(ctx, st)
			},
			Facts: []Fact{{
				Axis:    AxisOffline,
				Text:    Words{"mails the PC can open", "PCで開けるメール"},
				Choices: ofTwo,
				measure: readableOffline,
				lesson:  map[Column]check{Delete: is(2, 2), Keep: is(2, 2), IMAP: is(1, 2), Web: is(0, 2)},
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"is back online. An IMAP program may be told to keep all texts, too; now it is.", "再び接続します。IMAPのソフトも、全文を端末に保存するよう設定できます。そうしてみます。"},
			Why:   Words{"That IMAP keeps nothing on the device is a myth: it depends on the settings.", "「IMAPは端末に保存しない」というのは誤解で、設定しだいです。"},
			RFC:   "RFC 9051 §6.4.5", Show: "FETCH",
			Only: []Column{IMAP},
			do: func(ctx context.Context, st *stage) error {
				d := st.pc.(*IMAPDevice)
				if err := d.Fetch(ctx); err != nil {
					return err
				}
				for _, l := range []letter{meeting, invoice} {
					if err := d.Load(l.id); err != nil {
						return err
					}
				}
				return d.Disconnect()
			},
			Facts: []Fact{{
				Text:    Words{"mails the PC can open offline then", "その後、オフラインでPCが開けるメール"},
				measure: readableOffline, lesson: map[Column]check{IMAP: is(2, 2)},
			}},
		},
	},
}

// readableOffline counts what the PC can show while it has no connection.
func readableOffline(st *stage) (Value, []Ref) {
	for _, c := range st.pc.base().talks {
		if !c.closed() {
			return Value{}, nil // that would prove nothing
		}
	}
	g := st.pc.base()
	return count(g.count(readable), st.delivered), append(st.copies(g), g.refs(unreachable)...)
}

var lostDevice = Scenario{
	ID:    "lost-device",
	Title: Words{"The PC is lost", "端末の故障・紛失"},
	Lanes: Columns,
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"gets them, and Alice reads both.", "受信して、2通とも読みます。"},
			Why:   Words{"Where a mail is kept decides what becomes of it next.", "どこに保存されているかで、このあとの運命が変わります。"},
			RFC:   "RFC 1939 §5",
			do:    all(fetch(thePC), open(thePC, meeting, invoice)),
		}, {
			Actor: alicePC,
			Text:  Words{"falls into the sea, with all that was stored on it.", "海に落ちてしまいました。中に保存されていたものも、すべて失われます。"},
			Why:   Words{"Safe is what the server has.", "無事なのは、サーバーにあるものだけです。"},
			do: func(_ context.Context, st *stage) error {
				g := st.pc.base()
				g.lose()
				return nil
			},
		}, {
			Actor: newPC,
			Text:  Words{"is set up like the old one and gets what there is.", "元のPCと同じ設定で、残っているメールを受信します。"},
			Why:   Words{"With IMAP and webmail even the marks of what was read are there; with POP3 all is unread again.", "IMAPとWebメールでは既読の印まで元どおりです。POP3（残す）では、すべて未読に戻ります。"},
			RFC:   "RFC 9051 §2.3.2", Show: "STAT SELECT FETCH",
			do: func(ctx context.Context, st *stage) error {
				st.other = st.device(newPC, st.column, st.account)
				return st.other.Fetch(ctx)
			},
			Facts: []Fact{{
				Axis:    AxisLost,
				Text:    Words{"mails the new PC shows", "新しいPCで見えるメール"},
				Choices: ofTwo,
				measure: shown(theOther),
				lesson:  map[Column]check{Delete: is(0, 2), Keep: is(2, 2), IMAP: is(2, 2), Web: is(2, 2)},
			}},
		},
	},
}
