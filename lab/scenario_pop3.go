package lab

import (
	"bytes"
	"context"
	"errors"

	"github.com/yubin-mail/yubin/wiretap"
)

var sendAndReceive = Scenario{
	ID:    "send-and-receive",
	Title: Words{"Sending and receiving: a pair", "送信と受信：ふたつでひと組"},
	Lanes: []Column{Delete},
	Steps: []Step{
		{
			Actor: hanako,
			Text: Words{"hands over a mail for Alice by SMTP, server to server.",
				"アリス宛のメールをSMTPで届けます。サーバーからサーバーへの配達です。"},
			Why: Words{"The server says 250 when it has stored the mail. From then on it answers for it.", "サーバーは、保存し終えてから250と答えます。その時点で、メールの責任は受け取ったサーバーに移ります。"},
			RFC: "RFC 5321 §6.1", Show: "MAIL RCPT DATA .",
			do: all(deliver(meeting), lookAtServer),
			Facts: []Fact{{
				Text:    Words{"waits on the server, before any device has asked for it", "まだ誰も受信しないうちに、サーバーに届いているメール"},
				measure: onServer, lesson: everywhere(is(1, 1)),
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"fetches it by POP3. SMTP has brought it only as far as the mailbox.", "POP3で受信します。SMTPが運ぶのはメールボックスまでです。"},
			Why:   Words{"Fetching is another conversation, at another port, with a password.", "受信は、別のポートでパスワードを使って行う、もうひとつの通信です。"},
			RFC:   "RFC 1939 §3", Show: "USER PASS RETR",
			do: fetch(thePC),
			Facts: []Fact{{
				Text:    Words{"Hanako's text has arrived unchanged", "花子さんの書いた内容がそのまま届いたか"},
				Choices: yesOrNo,
				measure: unchanged, lesson: everywhere(yes),
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"writes to Bob. POP3 only fetches, so her mail goes out by SMTP.", "ボブさんにメールを書きます。POP3は受信専用なので、送信はSMTPで行います。"},
			Why:   Words{"That is why a mail program has two servers in its settings: one to receive and one to send.", "メールソフトの設定に「受信サーバー」と「送信サーバー」があるのは、このためです。"},
			RFC:   "RFC 6409 §3", Show: "AUTH MAIL RCPT .",
			do: sendToBob,
			Facts: []Fact{{
				Text:    Words{"SMTP took it", "SMTPが引き受けたか"},
				measure: bySMTP, lesson: everywhere(yes),
			}, {
				Text:    Words{"the receiving protocol carried any of it out", "受信用のプロトコルが送信に使われたか"},
				measure: outByReader, lesson: everywhere(no),
			}},
		}, {
			Actor: bobsPC,
			Text:  Words{"fetches it, by IMAP. Whoever sends and whoever reads need not use the same way.", "IMAPで受信します。送る側と読む側の方式は、同じでなくてかまいません。"},
			Why:   Words{"Between two servers mail goes by SMTP; which way a reader takes is between the reader and the server.", "サーバーの間はSMTPです。どの方式で読むかは、読む人とそのサーバーの間だけの話です。"},
			RFC:   "RFC 9051 §6.4.5", Show: "LOGIN SELECT FETCH",
			do: bobReads,
			Facts: []Fact{{
				Text:    Words{"Bob can read it", "ボブさんが読めるメール"},
				measure: bobHas, lesson: everywhere(is(1, 1)),
			}},
		},
	},
}

// sendToBob lets Alice write to Bob from her PC.
func sendToBob(ctx context.Context, st *stage) error { return sendLetter(ctx, st, st.pc, answer) }

// sendLetter lets a device write to Bob.
func sendLetter(ctx context.Context, st *stage, from Device, l letter) error {
	if w, ok := from.(*WebDevice); ok {
		return w.Send(ctx, l, st.bob.Address)
	}
	st.sent = l.compose(st.lang, st.scenario, st.account.Address, st.bob.Address)
	s := &sender{gear: from.base(), greeting: "pc.yubin.test", login: true}
	return s.send(ctx, l, st.account.Address, st.bob.Address, st.sent)
}

// unchanged compares what was sent with what the PC has, beneath the trace
// fields that servers put on top (RFC 5321 §4.4).
func unchanged(st *stage) (Value, []Ref) {
	e := st.pc.base().find(meeting.id, inbox)
	out, ok := st.outside.last(send, meeting.id)
	if e == nil || !ok {
		return Value{}, nil
	}
	return yesNo(bytes.HasSuffix(e.raw, st.sent)), []Ref{out.ref, e.ref}
}

func bySMTP(st *stage) (Value, []Ref) {
	e, ok := st.pc.base().last(send, answer.id)
	if !ok {
		return Value{}, nil
	}
	return yesNo(true), []Ref{e.ref}
}

// outByReader looks for mail text that the PC has sent by POP3 or IMAP.
func outByReader(st *stage) (v Value, refs []Ref) {
	v = yesNo(false)
	for _, c := range st.pc.base().talks {
		if c.proto != "pop3" && c.proto != "imap" {
			continue
		}
		refs = append(refs, c.whole())
		for _, line := range c.lines() {
			if line.Dir == wiretap.Client && line.Body {
				v = yesNo(true)
			}
		}
	}
	return v, refs
}

func bobReads(ctx context.Context, st *stage) error {
	d := &IMAPDevice{gear: &gear{name: bobsPC, stage: st, account: st.bob}}
	st.other = d
	if err := d.Fetch(ctx); err != nil {
		return err
	}
	return d.Open(ctx, answer.id)
}

func bobHas(st *stage) (Value, []Ref) {
	g := st.other.base()
	n := g.count(func(e *entry) bool { return e.mail == answer.id && readable(e) })
	return count(n, 1), st.copies(g)
}

var pop3Delete = Scenario{
	ID:    "pop3-delete",
	Title: Words{"POP3 as it was made: fetch and delete", "POP3の基本：受信したらサーバーから削除"},
	Lanes: []Column{Delete},
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"fetches both and has them deleted on the server, which happens at QUIT.", "2通とも受信し、サーバーからは削除するよう伝えます。実際に削除されるのはQUITのときです。"},
			Why:   Words{"POP3 was made for one computer that is seldom online: take everything home, then work without the network.", "POP3は、たまにしかネットワークにつながらない1台のコンピューターのために作られました。すべて持ち帰り、あとは回線なしで読みます。"},
			RFC:   "RFC 1939 §6", Show: "STAT RETR DELE QUIT",
			do: all(fetch(thePC), lookAtServer),
			Facts: []Fact{{
				Axis:    AxisKept,
				Text:    Words{"mails on the PC / on the server", "PCにあるメール / サーバーにあるメール"},
				measure: kept, lesson: map[Column]check{Delete: is(2, 0)},
			}, {
				Axis:    AxisSpace,
				Text:    Words{"server space used", "サーバーの使用容量"},
				measure: space, lesson: map[Column]check{Delete: none},
			}},
		}, {
			Actor: phone,
			Text:  Words{"wants to fetch the same mails.", "同じメールを受信しようとします。"},
			Why:   Words{"The mails are on the PC now and nowhere else.", "メールがあるのはPCの中だけです。サーバーにないものは、ほかの端末では受信できません。"},
			RFC:   "RFC 1939 §5", Show: "STAT QUIT",
			do: fetch(thePhone),
			Facts: []Fact{{
				Axis:    AxisDevices,
				Text:    Words{"mails the phone shows", "スマホで見えるメール"},
				Choices: ofTwo,
				measure: shown(thePhone), lesson: map[Column]check{Delete: is(0, 2)},
			}},
		},
	},
}

var pop3Keep = Scenario{
	ID:    "pop3-keep",
	Title: Words{"POP3 that leaves a copy on the server", "POP3：サーバーにメールを残す"},
	Lanes: []Column{Keep},
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"fetches both and opens one. Its setting \"leave a copy on the server\" means: no DELE.", "2通とも受信し、1通を開きます。「サーバーにメールを残す」設定なので、DELEは送りません。"},
			Why:   Words{"Leaving a copy is a setting of the program. POP3 itself can only hand a mail over (RETR) and delete it (DELE).", "「残す」のはメールソフトの設定です。POP3にあるのは、渡す命令（RETR）と削除する命令（DELE）だけです。"},
			RFC:   "RFC 1939 §8", Show: "UIDL RETR QUIT",
			do: all(fetch(thePC), open(thePC, meeting), lookAtServer),
			Facts: []Fact{{
				Axis:    AxisKept,
				Text:    Words{"mails on the PC / on the server", "PCにあるメール / サーバーにあるメール"},
				measure: kept, lesson: map[Column]check{Keep: is(2, 2)},
			}, {
				Axis:    AxisSpace,
				Text:    Words{"server space used", "サーバーの使用容量"},
				measure: space, lesson: map[Column]check{Keep: some},
			}},
		}, {
			Actor: phone,
			Text:  Words{"fetches too: the same mails go over the wire once more.", "こちらでも受信します。同じメールをもう一度ダウンロードすることになります。"},
			Why:   Words{"That the PC has opened one is known to the PC alone, so the phone takes both for unread.", "既読の記録はPCの中にしかありません。サーバーは知らないので、スマホではすべて未読になります。"},
			RFC:   "RFC 1939 §5", Show: "STAT RETR",
			do: fetch(thePhone),
			Facts: []Fact{{
				Axis:    AxisDevices,
				Text:    Words{"mails the phone shows", "スマホで見えるメール"},
				measure: shown(thePhone), lesson: map[Column]check{Keep: is(2, 2)},
			}, {
				Text:    Words{"of them unread, though one was opened on the PC", "そのうち未読（PCでは1通を開封済み）"},
				Choices: ofTwo,
				measure: unread(thePhone), lesson: map[Column]check{Keep: is(2, 2)},
			}},
		}, {
			Actor: alicePC,
			Text:  Words{"fetches again. It knows by their unique ids (UIDL) what it has.", "もう一度受信します。どれが受信済みかは、メールごとの固有のID（UIDL）で見分けます。"},
			Why:   Words{"Without UIDL the program would have to download all of it each time.", "UIDLがなければ、受信のたびにすべてをダウンロードし直すことになります。"},
			RFC:   "RFC 1939 §7", Show: "UIDL",
			do: fetch(thePC),
			Facts: []Fact{{
				Text:    Words{"downloaded a second time", "2回ダウンロードしたメール"},
				measure: again, lesson: map[Column]check{Keep: is(0, 2)},
			}},
		},
	},
}

// again counts what the PC has downloaded more than once.
func again(st *stage) (Value, []Ref) {
	g := st.pc.base()
	var n int64
	for _, e := range g.events {
		if e.kind == download {
			n++
		}
	}
	return count(n-st.delivered, st.delivered), g.refs(download, uidl)
}

var pop3Lock = Scenario{
	ID:    "pop3-lock",
	Title: Words{"POP3 lets one device in at a time", "POP3の排他：同時に使えるのは1台だけ"},
	Lanes: []Column{Keep},
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"logs in by POP3 and stays.", "POP3でログインし、接続したままにします。"},
			Why:   Words{"A POP3 session lasts from the login to QUIT.", "POP3の接続は、ログインからQUITまで続きます。"},
			RFC:   "RFC 1939 §4", Show: "PASS STAT",
			do: func(ctx context.Context, st *stage) error {
				pc := st.pc.(*POP3Device)
				if err := pc.LogIn(ctx); err != nil {
					return err
				}
				_, _, err := pc.Stat()
				return err
			},
		}, {
			Actor: phone,
			Text:  Words{"wants in at the same time, by POP3.", "同時にPOP3でログインしようとします。"},
			Why:   Words{"One session has the mailbox to itself, so that the numbers of the mails and what is deleted stay certain.", "メールの番号と削除の結果が食い違わないよう、1つの接続がメールボックスを独占します（排他ロック）。"},
			RFC:   "RFC 2449 §8.1.2", Show: "USER PASS",
			do: func(ctx context.Context, st *stage) error {
				err := st.phone.Fetch(ctx)
				if refusal := replyError(""); errors.As(err, &refusal) {
					return nil // the fact tells
				}
				return err
			},
			Facts: []Fact{{
				Text:    Words{"let in, too", "同時に使えたか"},
				Choices: yesOrNo,
				measure: letIn, lesson: everywhere(no),
			}},
		}, {
			Actor: tablet,
			Text:  Words{"looks at the same mailbox by IMAP meanwhile.", "その間に、同じメールボックスをIMAPで開きます。"},
			Why:   Words{"IMAP is made for several sessions at once. Here it does not wait for the lock of POP3 either.", "IMAPは複数の同時接続を前提に作られています。このサーバーでは、POP3のロックを待つこともありません。"},
			RFC:   "RFC 9051 §6.3.2", Show: "LOGIN SELECT",
			do: func(ctx context.Context, st *stage) error {
				st.other = &IMAPDevice{gear: &gear{name: tablet, stage: st, account: st.account}}
				return st.other.Fetch(ctx)
			},
			Facts: []Fact{{
				Text:    Words{"mails the tablet shows", "タブレットで見えるメール"},
				measure: shown(theOther), lesson: everywhere(is(2, 2)),
			}},
		}, {
			Actor: both,
			Text:  Words{"one after the other: the PC says QUIT, then the phone comes again.", "順番に使います。PCがQUITしてから、スマホがもう一度接続します。"},
			Why:   Words{"QUIT opens the lock. Programs that fetch and leave rarely meet it.", "QUITでロックは解けます。受信してすぐ切断するメールソフトなら、ぶつかることはほとんどありません。"},
			RFC:   "RFC 1939 §6", Show: "QUIT PASS STAT",
			do: func(ctx context.Context, st *stage) error {
				if err := st.pc.(*POP3Device).Quit(); err != nil {
					return err
				}
				return st.phone.Fetch(ctx)
			},
			Facts: []Fact{{
				Text:    Words{"mails the phone shows now", "今度はスマホで見えるメール"},
				measure: shown(thePhone), lesson: everywhere(is(2, 2)),
			}},
		},
	},
}

// letIn tells whether the phone's first login was taken.
func letIn(st *stage) (Value, []Ref) {
	g := st.phone.base()
	if e, ok := g.last(refused, ""); ok {
		return yesNo(false), []Ref{e.ref}
	}
	return yesNo(true), g.refs(logIn)
}

var dropBeforeQuit = Scenario{
	ID:    "drop-before-quit",
	Title: Words{"The connection breaks before QUIT", "QUITの前に接続が切れたら？"},
	Lanes: []Column{Delete},
	Steps: []Step{
		sendsTwo,
		{
			Actor: alicePC,
			Text:  Words{"fetches both, says DELE for both, and then the network fails.", "2通とも受信してDELEを送ったところで、回線が切れてしまいます。"},
			Why:   Words{"DELE only marks a mail. It is removed at QUIT, and if the connection breaks before, it must stay.", "DELEは印を付けるだけで、削除されるのはQUITのときです。その前に切れたら、サーバーは削除してはいけません。"},
			RFC:   "RFC 1939 §6", Show: "RETR DELE",
			do: func(ctx context.Context, st *stage) error {
				pc := st.pc.(*POP3Device)
				if err := pc.LogIn(ctx); err != nil {
					return err
				}
				if err := pc.Retrieve(); err != nil {
					return err
				}
				if err := pc.Cut(); err != nil {
					return err
				}
				return lookAtServer(ctx, st)
			},
			Facts: []Fact{{
				Text:    Words{"deletions asked for", "削除を頼んだメール"},
				measure: asked, lesson: everywhere(is(2, 2)),
			}, {
				Text:    Words{"still on the server", "サーバーに残っているメール"},
				Choices: ofTwo,
				measure: onServer, lesson: everywhere(is(2, 2)),
			}},
		}, {
			Actor: phone,
			Text:  Words{"fetches them, and gets as far as QUIT.", "受信して、今度はQUITまで進みます。"},
			Why:   Words{"After a break a mail may be fetched twice, but none is lost.", "回線が切れると、同じメールを二重に受信することはあっても、失うことはありません。"},
			RFC:   "RFC 1939 §6", Show: "STAT DELE QUIT",
			do: all(fetch(thePhone), lookAtServer),
			Facts: []Fact{{
				Text:    Words{"mails the phone shows", "スマホで見えるメール"},
				measure: shown(thePhone), lesson: everywhere(is(2, 2)),
			}, {
				Text:    Words{"still on the server", "サーバーに残っているメール"},
				measure: onServer, lesson: everywhere(is(0, 2)),
			}},
		},
	},
}

// asked counts the letters for which the PC has said DELE.
func asked(st *stage) (Value, []Ref) {
	refs := st.pc.base().refs(remove)
	return count(int64(len(refs)), st.delivered), refs
}
